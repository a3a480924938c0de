"""Leaves on training crops: how many crops get some, what they are cut from, and their shapes."""

import math

import numpy as np
import pytest
import torch

from arm_batch.training import augment_dead_leaves as dead_leaves
from arm_batch.training.augment_dead_leaves import drop_leaves

SIDE = 48


def noise(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def places() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns of pixels counted from the middle of a crop."""
    middles = torch.arange(SIDE, dtype=torch.float32) + 0.5 - SIDE / 2
    return middles.view(1, 1, SIDE, 1), middles.view(1, 1, 1, SIDE)


@pytest.mark.parametrize(("share", "changed"), [(0.0, 0), (0.25, 3), (0.5, 6), (1.0, 12)])
def test_a_share_of_the_crops_gets_leaves_and_the_others_stay(share: float, changed: int) -> None:
    crops = noise(12)
    before = crops.clone()
    after = drop_leaves(crops, np.random.default_rng(0), share)
    assert torch.equal(crops, before)
    differs = (after != crops).flatten(1).any(dim=1)
    assert differs.tolist() == [True] * changed + [False] * (12 - changed)


def test_leaves_are_a_function_of_the_generator() -> None:
    first, again, other = (drop_leaves(noise(6), np.random.default_rng(s), 1) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_crop_between_its_leaves_stays_as_it_was_and_leaves_are_cut_from_crops() -> None:
    levels = torch.tensor([0.0, 0.4, 1.0])
    crops = levels.repeat(30)[:, None, None, None].expand(-1, 3, SIDE, SIDE)
    after = drop_leaves(crops, np.random.default_rng(3), 1)
    assert after.min() >= 0
    assert after.max() <= 1
    # All but soft edges has the colour of some crop, and most of a crop its own.
    known = (after[:, None] - levels.view(1, 3, 1, 1, 1)).abs().amin(dim=1) < 1e-5
    assert known.float().mean() > 0.85
    own = ((after - crops).abs() < 1e-5).float().mean(dim=(1, 2, 3))
    assert 0.5 < own.mean() < 0.98
    assert (own < 0.999).float().mean() > 0.9


def test_a_leaf_is_of_one_colour_or_a_piece_of_another_crop_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    crops = noise(40)
    monkeypatch.setattr(dead_leaves, "FLAT_SHARE", 0.0)
    pieces = dead_leaves._fill(crops, 40, np.random.default_rng(1))
    assert all(any(torch.equal(piece, crop) for crop in crops) for piece in pieces)
    monkeypatch.setattr(dead_leaves, "FLAT_SHARE", 1.0)
    flat = dead_leaves._fill(crops, 40, np.random.default_rng(1))
    assert torch.equal(flat, flat[..., :1, :1].expand_as(flat))
    pixels = {tuple(p) for p in crops.permute(0, 2, 3, 1).reshape(-1, 3).tolist()}
    assert all(tuple(colour) in pixels for colour in flat[..., 0, 0].tolist())


def test_an_ellipse_has_its_axes_and_its_distance_is_in_pixels(places: tuple[torch.Tensor, torch.Tensor]) -> None:
    down, right = places
    one = np.ones(1)
    outside = dead_leaves._outside_ellipse(down, right, 16 * one, 0.5 * one, math.pi / 2 * one)[0, 0]
    # Its longer axis points down. Near the edge; half a pixel off the axes, where the middles of pixels are.
    for along, radius in ((outside[:, SIDE // 2], 16), (outside[SIDE // 2], 8)):
        expected = right.flatten().abs() - radius
        near = expected.abs() < 2
        assert along[near].tolist() == pytest.approx(expected[near].tolist(), abs=0.6)
    assert (outside < 0).sum().item() == pytest.approx(math.pi * 16 * 8, rel=0.03)


@pytest.mark.parametrize("seed", range(12))
def test_a_polygon_is_convex_and_its_sides_lie_about_the_radius_away(
    places: tuple[torch.Tensor, torch.Tensor], seed: int
) -> None:
    down, right = places
    one = np.ones(1)
    outside = dead_leaves._outside_polygon(down, right, 12 * one, 0.3 * one, np.random.default_rng(seed))[0, 0]
    inside = outside < 0
    assert inside[SIDE // 2, SIDE // 2]
    # Nearer than the nearest side all is inside; a stripe's sides lie half as far.
    assert inside[(down**2 + right**2)[0, 0].sqrt() < 12 * 0.4 / 2].all()
    rows = [line for line in inside if line.any()]
    assert all(line.to(torch.int8).diff().abs().sum() <= 2 for line in rows)
    # One step of a pixel changes the distance to a straight side by no more than a pixel.
    assert outside.diff(dim=0).abs().max() <= 1.0001


def test_edges_are_soft_and_leaves_small_and_large() -> None:
    crops = torch.zeros(200, 1, SIDE, SIDE)
    opacity = torch.cat([dead_leaves._opacity(crops, np.random.default_rng(seed)) for seed in range(12)])
    assert opacity.min() == 0
    assert opacity.max() == 1
    partly = ((opacity > 0) & (opacity < 1)).float().mean()
    assert 0.005 < partly < 0.2
    covered = opacity.mean(dim=(1, 2, 3))
    # A density of r^-3 with radii from 4 px: half of all leaves stay below 6 px.
    assert covered.median() < 0.06
    assert (covered > 0.3).float().mean() > 0.02
