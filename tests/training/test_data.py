"""Training pairs and crops."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from arm_batch.errors import InputError, TrainingError
from arm_batch.training.augment_colour import color_jitter
from arm_batch.training.data import CropSampler, Pair, downscale, load_pair, split_images
from tests.image_files import by_opencv


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def levels(crops: torch.Tensor) -> np.ndarray:
    """Crops in [0, 1] as uint8 NHWC."""
    return np.ascontiguousarray((crops * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def coordinates(height: int, width: int, scale: int) -> Pair:
    """A pair in which every HR pixel equals the LR pixel that it belongs to, and all LR pixels differ."""
    lr = np.zeros((height, width, 3), np.uint8)
    lr[..., 0], lr[..., 1] = np.arange(height)[:, None], np.arange(width)
    return Pair(lr, lr.repeat(scale, axis=0).repeat(scale, axis=1))


def test_one_in_five_is_held_out_the_same_way_every_time(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / f"{i:02}.png").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.JPG").touch()
    (tmp_path / "notes.txt").touch()
    training, held_out = split_images(tmp_path)
    assert [p.name for p in held_out] == ["04.png", "09.png"]
    assert len(training) == 11
    assert not set(training) & set(held_out)
    assert split_images(tmp_path) == (training, held_out)


def test_too_few_images_to_hold_any_out_are_refused(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.png").touch()
    with pytest.raises(InputError, match="4 images are too few, one in 5 is held out"):
        split_images(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        split_images(tmp_path)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("reduction", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(64, 48), (67, 61)])
def test_pairs_are_reduced_and_fit_exactly(
    tmp_path: Path, scale: int, reduction: int, height: int, width: int
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(height, width)[..., ::-1])
    pair = load_pair(tmp_path / "a.png", scale, reduction)
    assert pair.hr.shape == (height // reduction // scale * scale, width // reduction // scale * scale, 3)
    assert pair.hr.shape[:2] == tuple(scale * side for side in pair.lr.shape[:2])
    rows, columns = pair.hr.shape[:2]
    blocks = noise(height, width)[: reduction * rows, : reduction * columns].astype(np.float64)
    mean = blocks.reshape(rows, reduction, columns, reduction, 3).mean(axis=(1, 3))
    assert np.abs(pair.hr - mean).max() <= 0.5


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_unreadable_images_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="not a readable image"):
        load_pair(tmp_path / "a.png", 4)


def test_images_without_a_single_lr_pixel_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(7, 100))
    with pytest.raises(InputError, match="100x7 px is too small"):
        load_pair(tmp_path / "a.png", 4)


def test_downscaling_keeps_flat_colours_and_is_antialiased() -> None:
    flat = np.full((16, 16, 3), (10, 200, 255), np.uint8)
    assert (downscale(flat, 4) == (10, 200, 255)).all()
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(downscale(stripes, 4)[2:-2, 2:-2] - 127.5).max() < 3


@pytest.mark.parametrize("images", ["Set5", "Set14"])
def test_downscaling_equals_matlab_to_the_last_pixel(validation_data: Path, images: str) -> None:
    paths = sorted((validation_data / images / "LRx4").iterdir())
    assert len(paths) in (5, 14)
    for path in paths:
        lr, hr = (by_opencv(p.read_bytes()) for p in (path, validation_data / images / "HR" / path.name))
        ours = downscale(np.ascontiguousarray(hr[: 4 * lr.shape[0], : 4 * lr.shape[1]]), 4)
        # HR images whose sides 4 does not divide were cropped after MATLAB had seen their last pixels.
        cropped = [-1 if side % 4 else None for side in hr.shape[:2]]
        assert (ours == lr)[: cropped[0], : cropped[1]].all(), path.name


@pytest.mark.parametrize("scale", [2, 4])
def test_crops_are_aligned_whatever_the_turn(scale: int) -> None:
    sampler = CropSampler([coordinates(30, 40, scale), coordinates(9, 8, scale)], 8, scale)
    lr, hr = sampler.sample(np.random.default_rng(0), 40)
    assert lr.shape == (40, 3, 8, 8)
    assert hr.shape == (40, 3, 8 * scale, 8 * scale)
    assert (hr == lr.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)).all()
    assert lr.min() >= 0
    assert lr.max() <= 1


def test_crops_are_a_function_of_the_generator() -> None:
    sampler = CropSampler([coordinates(30, 40, 2)], 8, 2)
    first, again, other = (sampler.sample(np.random.default_rng(s), 3)[0] for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_changed_crops_are_the_same_places_in_whole_levels_and_their_reductions(scale: int) -> None:
    hr = noise(30 * scale, 40 * scale)
    pairs = [Pair(downscale(hr, scale), hr)]
    sampler, rng = CropSampler(pairs, 8, scale), np.random.default_rng(4)
    natural = sampler.sample(rng, 20)[1]
    varied = sampler.sample(np.random.default_rng(4), 20, color_jitter)
    assert ((varied[1] * 255).round() == (color_jitter(natural, rng) * 255).round()).all()
    assert torch.allclose(varied[1] * 255, (varied[1] * 255).round(), atol=1e-4)
    for lr_crop, hr_crop in zip(*map(levels, varied), strict=True):
        assert (downscale(hr_crop, scale) == lr_crop).all()


def test_small_images_are_left_out_and_only_small_ones_refused() -> None:
    small, large = coordinates(7, 50, 2), coordinates(8, 8, 2)
    sampler = CropSampler([small, large], 8, 2)
    assert sampler.skipped == 1
    lr, _ = sampler.sample(np.random.default_rng(0), 20)
    # Red is the row: a crop of the large image holds all its eight rows.
    assert len(lr[:, 0].unique()) == 8
    with pytest.raises(TrainingError, match="smaller than one crop of 8 LR px"):
        CropSampler([small], 8, 2)
