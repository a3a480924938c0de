"""Which crops a step sees: a function of seed and step alone."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from arm_batch.training.data import CropSampler, Pair
from arm_batch.training.degradation import MARGIN
from arm_batch.training.sampling import Draws, change_of, reduce_of


def make_draws(steps_at_once: int = 1, seed: int = 5, batch_size: int = 4) -> Draws:
    hr = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    sampler = CropSampler([Pair(hr[::2, ::2].copy(), hr)], 8, 2)
    return Draws(sampler, seed, batch_size, steps_at_once, change_of(True, 1.0))


def same(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("steps_at_once", [1, 3])
def test_a_step_sees_the_same_crops_whatever_came_before(steps_at_once: int) -> None:
    draws = make_draws(steps_at_once)
    in_order = [draws.of_step(step) for step in range(7)]
    assert all(lr.shape == (4, 3, 8, 8) and hr.shape == (4, 3, 16, 16) for lr, hr in in_order)
    for step in (6, 0, 4):
        assert same(make_draws(steps_at_once).of_step(step), in_order[step])


@pytest.mark.parametrize("steps_at_once", [1, 3])
def test_no_crop_comes_twice(steps_at_once: int) -> None:
    draws = make_draws(steps_at_once)
    crops = torch.cat([draws.of_step(step)[1] for step in range(9)]).flatten(1)
    assert len(crops.unique(dim=0)) == 36
    assert not same(draws.of_step(0), make_draws(steps_at_once, seed=6).of_step(0))


def test_every_step_of_a_draw_gets_as_many_leaves() -> None:
    """The first crops of a draw get the most; a step that got those alone would be unlike the others."""

    class Numbered(CropSampler):
        def sample(
            self, _rng: object, count: int, _change: object = None, _reduce: object = None
        ) -> tuple[torch.Tensor, torch.Tensor]:
            numbers = torch.arange(count, dtype=torch.float32)
            return numbers, numbers

    hr = np.zeros((20, 20, 3), np.uint8)
    draws = Draws(Numbered([Pair(hr[::2, ::2].copy(), hr)], 8, 2), 0, 4, 5, None)
    places = [draws.of_step(step)[0] for step in range(5)]
    assert [place.tolist() for place in places] == [
        [first, first + 5, first + 10, first + 15] for first in range(5)
    ]


def test_without_a_change_crops_stay_as_they_are() -> None:
    assert change_of(False, 0.0) is None
    crops = torch.rand(6, 3, 16, 16)
    for colours, dead_leaves in ((True, 0.0), (False, 1.0), (True, 1.0)):
        change = change_of(colours, dead_leaves)
        assert change is not None
        assert not torch.equal(change(crops, np.random.default_rng(0)), crops)


def test_without_flaws_no_reduction_takes_the_place_of_the_usual_one() -> None:
    assert reduce_of("none", 0.2, 4) is None


@pytest.mark.parametrize("colours", [False, True])
def test_degraded_crops_are_smaller_by_the_margin_and_follow_from_the_step(colours: bool) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    sampler = CropSampler([Pair(hr[::2, ::2].copy(), hr)], 8 + MARGIN, 2)
    change = change_of(colours, 0.0)
    draws, again = (Draws(sampler, 5, 4, 3, change, reduce_of("archive", 0.25, 2)) for _ in range(2))
    lr, hr_crops = draws.of_step(4)
    assert lr.shape == (4, 3, 8, 8)
    assert hr_crops.shape == (4, 3, 16, 16)
    assert lr.dtype == hr_crops.dtype == torch.float32
    assert 0.5 < lr.max() <= 1
    draws.of_step(0)
    assert same((lr, hr_crops), again.of_step(4))
    assert same((lr, hr_crops), draws.of_step(4))
