"""Objectives and their allocations."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_batch.core.allocation.histogram import N_CLASSES, Histogram, class_count, image_class, take_histogram
from arm_batch.core.allocation.knapsack import spend_of
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.allocation.objective import class_errors, predict, solve
from arm_batch.core.prediction.lut import Lut
from tests.core.tables import COSTS, archives, census_of, log_error, table
from tests.memory import peak_of_memory


@given(archives(), st.sampled_from(OBJECTIVES), st.floats(0, 1))
def test_every_objective_keeps_the_budget_and_every_tile(
    archive: tuple[Lut, list[np.ndarray]], objective: Objective, share: float
) -> None:
    lut, images = archive
    histogram = census_of(objective, lut, images)
    count = sum(map(len, images))
    budget = count + int(share * 99 * count)
    allocation = solve(objective, lut, histogram, COSTS, budget)
    assert allocation.spend == spend_of(allocation.tiles, COSTS) <= budget
    np.testing.assert_array_equal(allocation.tiles.sum(axis=2), histogram.tiles)
    assert histogram.tiles.sum() == count
    # Less than the dearest upgrade is left, unless all that helps is bought.
    full = allocation.tiles[..., -1].sum() == count
    assert full or budget - allocation.spend < COSTS[-1]


@given(archives(), st.floats(0, 1))
def test_no_objective_beats_the_others_at_what_it_is_for_by_more_than_a_step(
    archive: tuple[Lut, list[np.ndarray]], share: float
) -> None:
    lut, images = archive
    count = sum(map(len, images))
    budget = count + int(share * 99 * count)
    by_mse = solve("mse", lut, census_of("mse", lut, images), COSTS, budget)
    # One upgrade more pays for what did not fit.
    richer = solve("mse", lut, census_of("mse", lut, images), COSTS, budget + int(COSTS[-1]))
    for objective in ("psnr", "image-psnr"):
        other = solve(objective, lut, census_of(objective, lut, images), COSTS, budget)
        assert class_errors(lut, richer.tiles).sum() <= class_errors(lut, other.tiles).sum() + 1e-6
    assert class_errors(lut, by_mse.tiles).sum() >= class_errors(lut, richer.tiles).sum() - 1e-6


def test_image_psnr_is_near_the_best_of_all_divisions_of_the_budget() -> None:
    gaps = [gap_db(seed, share) for seed in [*range(60), 301] for share in (0.1, 0.25, 0.5)]
    # Minorise-maximise may stop at a local optimum: rarely, and then not far off. Seed 301 is such a case.
    assert np.mean(gaps) < 0.002
    assert np.quantile(gaps, 0.95) < 0.002
    assert max(gaps) < 0.25


def gap_db(seed: int, share: float) -> float:
    """How far the mean over two images of different classes stays below the best division of the budget."""
    rng = np.random.default_rng(seed)
    lut = table(4, seed)
    images = [rng.integers(0, 2, 300), rng.integers(1, 4, 900)]
    histogram = census_of("image-psnr", lut, images)
    if (histogram.images > 0).sum() < 2:
        return 0.0
    budget = 1200 + int(share * 99 * 1200)
    got = log_error(histogram, lut, solve("image-psnr", lut, histogram, COSTS, budget).tiles)
    best = np.inf
    parts = [census_of("mse", lut, [image]) for image in images]
    for first in np.linspace(300, min(budget - 900, 300 * 100), 60).astype(int):
        budgets = (int(first), min(budget - int(first), 900 * 100))
        errors = [
            class_errors(lut, solve("mse", lut, part, COSTS, b).tiles)[0]
            for part, b in zip(parts, budgets, strict=True)
        ]
        best = min(best, sum(np.log10(errors)))
    return float(10 * (got - best) / 2)


def test_small_images_are_not_sacrificed_to_large_ones() -> None:
    lut = table(2)
    images = [np.zeros(2, np.intp)] * 50 + [np.ones(400, np.intp)]
    shares = {}
    for objective in ("mse", "image-psnr"):
        allocation = solve(objective, lut, census_of(objective, lut, images), COSTS, 20_000)
        shares[objective] = allocation.tiles.sum(axis=0)[0, 1:].sum()
    assert shares["image-psnr"] == 100
    assert shares["mse"] < 100


def test_classes_rise_with_the_error_and_do_not_depend_on_the_order_of_tiles() -> None:
    lut = table(5)
    bins = np.random.default_rng(0).integers(0, 5, 1000)
    classes = [image_class("image-psnr", lut, bins[:n]) for n in range(1, 1000, 50)]
    assert classes == sorted(classes)
    assert len(set(classes)) > 5
    assert image_class("image-psnr", lut, bins[::-1]) == image_class("image-psnr", lut, bins)
    assert image_class("mse", lut, bins) == 0


@pytest.mark.parametrize("level", [0.0, 1e-300, 1e300])
def test_extreme_errors_have_a_class_and_an_allocation(level: float) -> None:
    lut = replace(table(2), mse=np.full((2, 4), level))
    bins = np.array([0, 1, 1])
    assert 0 <= image_class("image-psnr", lut, bins) < N_CLASSES
    histogram = census_of("image-psnr", lut, [bins])
    assert solve("image-psnr", lut, histogram, COSTS, 300).spend == 300


@given(archives(), st.sampled_from(OBJECTIVES))
def test_a_census_of_parts_adds_up(archive: tuple[Lut, list[np.ndarray]], objective: Objective) -> None:
    lut, images = archive
    whole = census_of(objective, lut, images)
    parts = Histogram.empty(objective, lut)
    for image in images:
        parts = parts + census_of(objective, lut, [image])
    for name in ("tiles", "images", "pixels"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert whole.tiles.shape == (class_count(objective), lut.n_bins)
    assert whole.images.sum() == len(images)


def test_predictions_are_what_the_table_says() -> None:
    lut = table(3)
    images = [np.array([0, 0, 1]), np.array([2, 2, 2, 2])]
    # 16 px a tile; the second image fills only half of its tiles.
    histogram = take_histogram("image-psnr", lut, [(images[0], 48), (images[1], 32)])
    allocation = solve("image-psnr", lut, histogram, COSTS, 7)
    quality = predict(lut, histogram, allocation.tiles, 16)
    errors = [lut.mse[b, 0].sum() * 16 for b in images]
    per_image = [10 * np.log10(255**2 * px / e) for px, e in zip((48, 32), errors, strict=True)]
    assert quality.image_psnr_db == pytest.approx(np.mean(per_image))
    assert quality.pooled_psnr_db == pytest.approx(10 * np.log10(255**2 * 80 / sum(errors)))
    tiles = list(itertools.chain(*images))
    assert quality.tile_psnr_db == pytest.approx(lut.psnr_db[tiles, 0].mean())
    assert [quality.of(o) for o in OBJECTIVES] == [
        quality.tile_psnr_db,
        quality.pooled_psnr_db,
        quality.image_psnr_db,
    ]


def test_a_thousand_million_tiles_take_no_more_memory_than_their_histogram_does() -> None:
    lut = table(120)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 10**5, N_CLASSES)
    tiles = rng.multinomial(10**9, np.full(N_CLASSES * 120, 1 / (N_CLASSES * 120))).reshape(N_CLASSES, 120)
    histogram = Histogram(tiles.astype(np.int64), images, images * 10_000)
    with peak_of_memory() as peak:
        allocation = solve("image-psnr", lut, histogram, COSTS, 30 * 10**9)
    # A byte for each tile would be a thousand times as much.
    assert peak() < 64 * 2**20
    assert 0 <= 30 * 10**9 - allocation.spend < 100
