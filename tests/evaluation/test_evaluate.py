"""Evaluation of fixed widths on whole images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from arm_batch.errors import InputError, UsageError
from arm_batch.evaluation.evaluate import evaluate, read_pairs, upscale_image
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet
from arm_batch.models.tensors import bicubic, to_pixels, to_tensor

PUBLISHED_Y_DB = [
    ("fsrcnn", "Set5", (29.69, 30.42, 30.62)),
    ("fsrcnn", "Set14", (26.95, 27.50, 27.66)),
    pytest.param("fsrcnn", "BSD100", (26.55, 26.87, 26.95), marks=pytest.mark.slow),
    pytest.param("carn", "Set5", (31.29, 31.66, 31.94), marks=pytest.mark.slow),
    pytest.param("carn", "Set14", (28.00, 28.27, 28.45), marks=pytest.mark.slow),
]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("backbone", "dataset", "expected"), PUBLISHED_Y_DB)
def test_published_figures(
    reference: Path, validation_data: Path, backbone: str, dataset: str, expected: tuple[float, float, float]
) -> None:
    supernet = load_supernet(reference / f"arm-{backbone}.pth", get_backbone(backbone), 4)
    interpolation, *rows = evaluate(supernet, validation_data / dataset)
    assert interpolation.name == "bicubic"
    # Published with two decimals.
    assert [r.quality.psnr_y_db for r in rows] == pytest.approx(expected, abs=0.0075)
    assert all(r.quality.psnr_rgb_db < r.quality.psnr_y_db for r in rows)


def test_rows_name_and_price_every_subnet(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "HR" / f"{i}.png", noise(48, 40, i))
        write(tmp_path / "LRx4" / f"{i}.png", noise(12, 10, i))
    supernet = Supernet(get_backbone("fsrcnn"), 4)
    rows = evaluate(supernet, tmp_path)
    assert [r.name for r in rows] == ["bicubic", "fsrcnn-16", "fsrcnn-36", "fsrcnn-56"]
    assert [r.images for r in rows] == [3] * 4
    assert [r.flops for r in rows] == [491_520, 21_823_488, 35_831_808, 49_840_128]
    assert [r.paper_flops for r in rows] == [0, 141_262_852, 304_570_372, 467_877_892]
    some = evaluate(supernet, tmp_path, widths=(16,), limit=2)
    assert [(r.name, r.images) for r in some] == [("bicubic", 2), ("fsrcnn-16", 2)]
    with pytest.raises(UsageError, match="width 99"):
        evaluate(supernet, tmp_path, widths=(99,))


def test_means_are_over_images(tmp_path: Path) -> None:
    # Flat images: interpolation is off by 1, then by 10 grey levels.
    for name, error in (("a.png", 1), ("b.png", 10)):
        write(tmp_path / "LRx2" / name, np.full((8, 8, 3), 100, np.uint8))
        write(tmp_path / "HR" / name, np.full((16, 16, 3), 100 + error, np.uint8))
    row = evaluate(Supernet(get_backbone("fsrcnn"), 2), tmp_path, widths=())[0].quality
    assert row.psnr_rgb_db == pytest.approx((48.1308 + 28.1308) / 2, abs=1e-3)
    assert row.psnr_y_db == pytest.approx(row.psnr_rgb_db + 20 * np.log10(255 / 219), abs=1e-3)


def test_pairs_come_by_name_with_the_hr_image_cropped_to_fit(tmp_path: Path) -> None:
    for name, height in (("b.png", 27), ("a.png", 24)):
        write(tmp_path / "HR" / name, noise(height, 23))
        write(tmp_path / "LRx4" / name, noise(6, 5))
    (tmp_path / "LRx4" / "Thumbs.db").touch()
    (first, pair), (second, cropped) = read_pairs(tmp_path, 4)
    assert (first, second) == ("a.png", "b.png")
    assert pair.hr.shape == cropped.hr.shape == (24, 20, 3)
    np.testing.assert_array_equal(cropped.hr, noise(27, 23)[:24, :20])
    assert [name for name, _ in read_pairs(tmp_path, 4, limit=1)] == ["a.png"]


@pytest.mark.parametrize("size", [(23, 20), (28, 20), (24, 24), (24, 10)])
def test_sizes_that_do_not_fit_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path / "HR" / "a.png", noise(*size))
    write(tmp_path / "LRx4" / "a.png", noise(6, 5))
    with pytest.raises(InputError, match="not 4 times as large"):
        list(read_pairs(tmp_path, 4))


def test_missing_folders_images_and_partners_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images in"):
        list(read_pairs(tmp_path, 4))
    write(tmp_path / "LRx4" / "a.png", noise(6, 5))
    with pytest.raises(InputError, match="missing or not a readable image"):
        list(read_pairs(tmp_path, 4))
    write(tmp_path / "HR" / "a.png", noise(24, 20))
    (tmp_path / "LRx4" / "a.png").write_bytes(b"no")
    with pytest.raises(InputError, match="missing or not a readable image"):
        list(read_pairs(tmp_path, 4))


def test_pixels_survive_the_way_to_tensors_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(to_pixels(to_tensor(pixels)), pixels)
    assert to_pixels(torch.tensor([-1.0, 0.5, 2.0]).view(1, 3, 1, 1)).ravel().tolist() == [0, 128, 255]


def test_interpolation_keeps_flat_colours() -> None:
    lr = np.full((3, 5, 3), (1, 100, 255), np.uint8)
    np.testing.assert_array_equal(upscale_image(lr, bicubic(3)), lr.repeat(3, 0).repeat(3, 1))
