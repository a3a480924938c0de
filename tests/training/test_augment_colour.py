"""Training crops in other colours."""

import itertools

import numpy as np
import pytest
import torch

from arm_batch.training.augment_colour import MAX_CONTRAST, SATURATION, color_jitter

COUNT = 400


def crops_of(one: torch.Tensor) -> torch.Tensor:
    """So many equal crops of ``(3, h, w)`` levels from 0 to 255."""
    return one.to(torch.float32).div(255).expand(COUNT, -1, -1, -1)


def varied_levels(one: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return color_jitter(crops_of(one), np.random.default_rng(seed)) * 255


def test_the_outcome_is_a_function_of_the_generator() -> None:
    one = torch.randint(0, 256, (3, 6, 5), generator=torch.Generator().manual_seed(1))
    first, again, other = (varied_levels(one, seed) for seed in (1, 1, 2))
    assert first.shape == (COUNT, 3, 6, 5)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 255


def test_every_order_and_its_negative_come_equally_often() -> None:
    flat = (20, 90, 200)
    varied = varied_levels(torch.tensor(flat)[:, None, None].expand(3, 4, 4))[:, :, 0, 0].round().int()
    kinds = [tuple(order) for order in itertools.permutations(flat)]
    kinds += [tuple(255 - level for level in kind) for kind in kinds]
    counts = [sum(tuple(row.tolist()) == kind for row in varied) for kind in kinds]
    # Half of the crops keep their saturation and contrast.
    assert sum(counts) == pytest.approx(COUNT / 2, abs=40)
    assert min(counts) >= COUNT / 24 / 3
    assert max(counts) <= COUNT / 24 * 2


def test_saturation_moves_flat_colours_along_the_line_from_grey() -> None:
    flat = torch.tensor([120.0, 125.0, 130.0])
    varied = varied_levels(flat[:, None, None].expand(3, 4, 4))
    assert (varied - varied[..., :1, :1]).abs().max() == 0
    sides = varied[..., 0, 0].amax(dim=1) - varied[..., 0, 0].amin(dim=1)
    assert sides.min() >= 10 * SATURATION[0] - 1
    assert sides.max() <= 10 * SATURATION[1] + 1
    assert sides.min() < 10 < sides.max()
    means = varied.mean(dim=(1, 2, 3))
    assert (torch.minimum((means - 125).abs(), (means - 130).abs()) <= 0.7).all()


def test_contrast_of_a_grey_crop_grows_around_its_mean_and_is_clipped() -> None:
    ramp = torch.arange(80, 176).view(1, 1, 96).expand(3, 2, 96)
    varied = varied_levels(ramp)
    gains = (varied[..., 50] - varied[..., 45]).abs().mean(dim=(1, 2)) / 5
    assert gains.min() >= 0.9
    assert gains.max() <= MAX_CONTRAST + 0.2
    assert (gains > 2).any()
    assert (gains < 1.05).sum() == pytest.approx(COUNT / 2, abs=50)
    # A gain of three would take the ends of the ramp beyond both black and white.
    assert varied[gains > 2.8].amin() == 0
    assert varied[gains > 2.8].amax() == 255
    assert (varied.mean(dim=(1, 2, 3)) - 127.5).abs().max() < 1.5
