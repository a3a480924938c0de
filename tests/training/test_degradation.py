"""Training inputs with the flaws that archives have."""

import numpy as np
import pytest
import torch

from arm_batch.training.choices import DegradeName
from arm_batch.training.data import downscale
from arm_batch.training.degradation import (
    MARGIN,
    RECIPES,
    REDUCTIONS,
    Recipe,
    add_noise,
    compress,
    degrade,
    degrade_crops,
    shift_channels,
)

SCALE = 4
RECIPE_NAMES = [name for name, recipe in RECIPES.items() if recipe is not None]


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture without edges, so that where it is shows in its levels."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(40, 215, (1, 3, height // 32, width // 32)))
    levels = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return levels[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def hr_crops(count: int, side: int = 16) -> torch.Tensor:
    pixels = [smooth((side + MARGIN) * SCALE, (side + MARGIN) * SCALE, seed) for seed in range(count)]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(torch.float64)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def recipe(name: DegradeName) -> Recipe:
    found = RECIPES[name]
    assert found is not None
    return found


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_crops_follow_from_the_generator(name: DegradeName) -> None:
    levels = hr_crops(6)
    first, again, other = (
        degrade_crops(levels, SCALE, recipe(name), 0.2, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_both_sides_are_whole_levels_of_one_place(name: DegradeName) -> None:
    levels = hr_crops(12)
    lr, hr = degrade_crops(levels, SCALE, recipe(name), 0, np.random.default_rng(0))
    assert lr.shape == (12, 3, 16, 16)
    assert hr.shape == (12, 3, 64, 64)
    assert torch.equal(lr, lr.round())
    assert lr.min() >= 0
    assert lr.max() <= 255
    # Flaws are of a few levels; another place is off by dozens.
    means = torch.nn.functional.avg_pool2d(hr, SCALE)
    assert (lr - means).abs().mean(dim=(1, 2, 3)).max() < 8


def test_hr_crops_stay_as_they_are_and_are_cut_anywhere() -> None:
    side = 16 + MARGIN
    # Each pixel's level is its column.
    levels = torch.arange(side * SCALE, dtype=torch.float64).expand(60, 3, side * SCALE, side * SCALE)
    _, hr = degrade_crops(levels, SCALE, recipe("archive"), 0, np.random.default_rng(0))
    assert (hr.diff(dim=3) == 1).all()
    assert {int(first) for first in hr[:, 0, 0, 0]} == {SCALE * corner for corner in range(MARGIN + 1)}


def test_the_clean_share_is_reduced_and_nothing_else() -> None:
    levels = hr_crops(20)
    lr, hr = degrade_crops(levels, SCALE, recipe("archive"), 0.3, np.random.default_rng(0))
    inner = slice(4, -4)
    clean = 0
    for low, high in zip(lr, hr, strict=True):
        reduced = downscale(high.permute(1, 2, 0).to(torch.uint8).numpy(), SCALE)
        clean += np.array_equal(reduced[inner, inner], low.permute(1, 2, 0).numpy()[inner, inner])
    assert clean == 6


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_reduction_moves_the_picture(name: str) -> None:
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8)[None, :, None], (96, 96, 3))
    ramp = np.ascontiguousarray(np.maximum(ramp, ramp.transpose(1, 0, 2)))
    reduced = REDUCTIONS[name](ramp, SCALE)
    assert reduced.shape == (24, 24, 3)
    middles = np.arange(24) * SCALE + 1.5
    np.testing.assert_allclose(reduced[2, 4:-4, 0], middles[4:-4], atol=0.51)
    np.testing.assert_allclose(reduced[4:-4, 2, 2], middles[4:-4], atol=0.51)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_those_called_aliased_let_stripes_through_that_no_pixel_can_hold(name: str) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    reduced = REDUCTIONS[name](np.roll(stripes, 1, axis=1), SCALE).astype(int)[4:-4, 4:-4]
    off_grey = np.abs(reduced - 127.5).mean()
    assert (off_grey > 60) == name.startswith("aliased")


def test_full_and_halved_colours_of_a_jpeg() -> None:
    stripes = np.full((32, 32, 3), 128, np.uint8)
    stripes[:, ::2] = (178, 108, 88)
    full, halved = (error(compress(stripes, 95, subsampled), stripes) for subsampled in (False, True))
    assert full < 4
    assert halved > 10


def test_a_lower_quality_is_worse() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    errors = [error(compress(picture, quality, subsampled=False), picture) for quality in (95, 75, 30)]
    assert errors == sorted(errors)
    assert errors[0] < errors[-1] / 3


@pytest.mark.parametrize(
    ("level", "shot_share", "expected"), [(20, 0.0, 6.0), (220, 0.0, 6.0), (220, 1.0, 7.88), (32, 1.0, 3.0)]
)
def test_noise_grows_with_the_level_as_far_as_it_is_shot_noise(
    level: int, shot_share: float, expected: float
) -> None:
    flat = np.full((200, 200, 3), level, np.uint8)
    noisy = add_noise(flat, 6.0, shot_share, np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(level, abs=0.1)
    assert noisy.std() == pytest.approx(expected, rel=0.02)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.02


def test_red_and_blue_are_moved_and_green_is_not() -> None:
    ramp = np.broadcast_to(np.arange(40, 140, 2, dtype=np.uint8)[None, :, None], (50, 50, 3))
    moved = shift_channels(np.ascontiguousarray(ramp), np.array([[0.5, 0.0], [-1.0, 0.0]]))
    inner = np.s_[5:-5, 5:-5]
    assert [int(np.median(moved[inner][..., c].astype(int) - ramp[inner][..., c])) for c in range(3)] == [-1, 0, 2]


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_chances_of_reductions_add_up(name: DegradeName) -> None:
    chances = recipe(name).reductions
    assert len(chances) == len(REDUCTIONS)
    assert sum(chances) == pytest.approx(1)


def test_an_archive_is_worse_than_what_is_mild() -> None:
    picture = smooth(96, 96)
    clean = downscale(picture, SCALE)
    errors = {
        name: np.mean(
            [error(degrade(picture, SCALE, recipe(name), np.random.default_rng(i)), clean) for i in range(60)]
        )
        for name in ("mild", "archive")
    }
    assert 0 < 1.5 * errors["mild"] < errors["archive"] < 6
