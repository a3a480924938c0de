"""Intervals of samples: they hold as often as they say, and shrink as the sample becomes the archive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from arm_batch.core.allocation.bootstrap import mean_interval, quality_intervals
from arm_batch.core.allocation.curve import CurvePoint, Planner, budget_curve, point_at
from arm_batch.core.allocation.histogram import ShardHistogram, gather, take_histogram
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.arrays import Counts
from tests.core.tables import COSTS, table

LUT = table(6, seed=3)


def draw_images(objective: Objective, number: int, seed: int) -> list[ShardHistogram]:
    """Images of 10 to 40 tiles, some flat and some busy; one in ten cannot be read."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(number):
        bins = rng.binomial(5, rng.beta(1, 2), rng.integers(10, 40)).astype(np.intp)
        readable = [] if rng.random() < 0.1 else [(bins, 64 * len(bins))]
        images.append(ShardHistogram.of(take_histogram(objective, LUT, readable)))
    return images


def planner(objective: Objective, images: Sequence[ShardHistogram]) -> Planner:
    return Planner(objective=objective, lut=LUT, histogram=gather(images, objective, LUT), costs=COSTS, tile_px=64)


def draws(number: int, images: int, seed: int = 0) -> Counts:
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), number)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_draw_of_each_image_once_is_the_sample_itself(objective: Objective) -> None:
    images = draw_images(objective, 30, seed=1)
    plan = planner(objective, images)
    curve = budget_curve(plan, 9)
    once = np.ones((1, 30), np.int64)
    for point, interval in zip(curve, quality_intervals(plan, images, curve, once, 0.0), strict=True):
        figure = point.quality.of(objective)
        assert (interval.low, interval.high) == pytest.approx((figure, figure), abs=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_they_hold_about_as_often_as_they_say(objective: Objective) -> None:
    archive = draw_images(objective, 400, seed=2)
    whole = planner(objective, archive)
    shares = (0.1, 0.4, 0.8)
    truth = [point_at(whole, int(share * whole.full)).quality.of(objective) for share in shares]
    true_tiles = np.mean([image.tiles.sum() for image in archive])
    held = []
    for seed in range(60):
        chosen = np.random.default_rng(seed).choice(400, 40, replace=False)
        sample = [archive[i] for i in chosen]
        plan = planner(objective, sample)
        curve = budget_curve(plan, 20)
        points = [point_at(plan, int(share * plan.full)) for share in shares]
        found = quality_intervals(plan, sample, [*curve, *points], draws(200, 40, seed), 0.1)[len(curve) :]
        held += [i.low <= true <= i.high for i, true in zip(found, truth, strict=True)]
        tiles = mean_interval(np.array([i.tiles.sum() for i in sample], float), draws(200, 40, seed), 0.1)
        held.append(tiles.low <= true_tiles <= tiles.high)
    # 60 samples are not many, and the bootstrap is known to be a little too sure with 40 images.
    assert 0.85 < np.mean(held) < 0.99


def test_they_shrink_to_nothing_as_the_sample_becomes_the_archive() -> None:
    images = draw_images("mse", 50, seed=4)
    plan = planner("mse", images)
    curve = budget_curve(plan, 5)
    widths = []
    for seen in (0.0, 0.75, 1.0):
        intervals = quality_intervals(plan, images, curve, draws(200, 50), seen)
        widths.append(np.array([interval.high - interval.low for interval in intervals]))
    assert (widths[0] > 0.1).all()
    assert widths[1] == pytest.approx(widths[0] / 2)
    assert (widths[2] == 0).all()


def test_the_order_of_points_does_not_matter() -> None:
    images = draw_images("image-psnr", 20, seed=5)
    plan = planner("image-psnr", images)
    curve: list[CurvePoint] = budget_curve(plan, 8)
    forward = quality_intervals(plan, images, curve, draws(50, 20), 0.1)
    assert quality_intervals(plan, images, curve[::-1], draws(50, 20), 0.1) == forward[::-1]
