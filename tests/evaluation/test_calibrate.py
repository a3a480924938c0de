"""Tables from measured images."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from arm_batch.core.tiling.grid import TileGrid, Upscaled, Windows
from arm_batch.core.tiling.scores import MEASURED, Score, score_tiles, tile_features
from arm_batch.errors import InputError, LadderError, UsageError
from arm_batch.evaluation.calibrate import (
    DEFAULT_SCORES,
    DEGRADED_TIMES,
    Photographs,
    TileSample,
    build_lut,
    sample_tiles,
    score_names,
)
from arm_batch.models.inference import Upscaler
from arm_batch.training.data import Pair
from tests.archives import draw, write_png

GRID = TileGrid(8, 2)
SCALE = 2


class Repeater(Upscaler):
    """Stands for nets: subnet `s` repeats pixels and adds `s` grey levels."""

    def __init__(self) -> None: ...

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        enlarged = (p.pixels.repeat(SCALE, axis=1).repeat(SCALE, axis=2) for p in pieces)
        return [Upscaled(GRID.crop_halo(e, SCALE) + np.uint8(subnet), 0) for e in enlarged]


def pair(height: int, width: int, seed: int = 0) -> Pair:
    lr = np.random.default_rng(seed).integers(0, 200, (height, width, 3), np.uint8)
    return Pair(lr, lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1))


def test_every_whole_tile_of_four_layings_is_measured() -> None:
    sample = sample_tiles(Repeater(), 3, GRID, [(0, pair(20, 16)), (7, pair(9, 11))])
    # 20x16: 2x2 tiles, then 1 row, 1 column less where the grid is shifted; 9x11: one tile, unshifted.
    assert sample.image.tolist() == [0] * (4 + 2 + 4 + 2) + [7]
    np.testing.assert_allclose(sample.mse, [[0, 1, 4]] * 13)
    assert sample.measured.shape == (13, len(MEASURED))


def test_scores_belong_to_the_tiles() -> None:
    image = pair(8, 80)
    sample = sample_tiles(Repeater(), 1, GRID, [(0, image)], most=4)
    # Ten tiles at the first laying, evenly thinned to four.
    kept = [0, 2, 5, 7]
    np.testing.assert_array_equal(sample.features[:4], tile_features(image.lr, GRID)[kept])
    scores = score_tiles([Score(name) for name in MEASURED], image.lr, GRID)
    np.testing.assert_array_equal(sample.measured[:4], scores[kept])


def test_each_image_comes_at_each_size(tmp_path: Path) -> None:
    for i in range(2):
        write_png(tmp_path / f"{i}.png", draw(i, 64, 96))
    images = tuple((path, (2, 4)) for path in sorted(tmp_path.glob("*.png")))
    pairs = list(Photographs(images).pairs(4))
    assert [number for number, _ in pairs] == [0, 0, 1, 1]
    assert [p.hr.shape[:2] for _, p in pairs] == [(32, 48), (16, 24)] * 2
    reference = cv2.resize(draw(0, 64, 96), (24, 16), interpolation=cv2.INTER_AREA)
    assert np.abs(pairs[1][1].hr.astype(int) - reference).max() <= 1


def test_degraded_images_come_beside_clean_ones_and_are_the_same_every_time(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", draw(0, 64, 96))
    photographs = Photographs(((tmp_path / "a.png", (1, 2)),), "archive")
    pairs, again = (list(photographs.pairs(4)) for _ in range(2))
    clean = [pair for _, pair in Photographs(photographs.images).pairs(4)]
    assert len(pairs) == 2 * (1 + DEGRADED_TIMES)
    for (_, one), (_, other) in zip(pairs, again, strict=True):
        np.testing.assert_array_equal(one.lr, other.lr)
    for at, reference in zip((0, 1 + DEGRADED_TIMES), clean, strict=True):
        np.testing.assert_array_equal(pairs[at][1].lr, reference.lr)
        for _, pair in pairs[at + 1 : at + 1 + DEGRADED_TIMES]:
            np.testing.assert_array_equal(pair.hr, reference.hr)
            assert (pair.lr != reference.lr).any()


@pytest.fixture
def sample() -> TileSample:
    """Tiles whose errors are power laws of their detail, the costlier subnet taking away three quarters."""
    rng = np.random.default_rng(0)
    detail = rng.exponential(20, 3000) + 1
    features = (detail[:, None] * [1.0, 2.0, 0.5, 1.5]).astype(np.float32)
    level = 3 * detail**0.8
    measured = np.stack([detail, features[:, 0]], axis=1).astype(np.float32)
    return TileSample(
        features=features,
        measured=measured,
        mse=level[:, None] * [1.0, 0.5, 0.25],
        image=rng.integers(0, 20, 3000),
    )


@pytest.mark.parametrize(
    "names", [["laplacian"], ["octave"], ["gain"], ["gain", "level"], ["octave", "laplacian"]]
)
def test_tables_predict_what_was_measured(sample: TileSample, names: list[str]) -> None:
    lut = build_lut(sample, names, {"weights": "w"})
    assert [score.name for score in lut.scores] == names
    columns = [
        score.of_features(sample.features) if score.weights else sample.measured[:, MEASURED.index(score.name)]
        for score in lut.scores
    ]
    predicted = lut.mse[lut.bin_of(np.stack(columns, axis=1))]
    assert np.median(np.abs(predicted / sample.mse - 1)) < 0.05
    assert lut.provenance == {"weights": "w"}


def test_fitted_scores_predict_gain_and_level(sample: TileSample) -> None:
    gain, level = build_lut(sample, ["gain", "level"], {}).scores
    np.testing.assert_allclose(gain.of_features(sample.features), 0.75 * sample.mse[:, 0], rtol=0.05)
    np.testing.assert_allclose(level.of_features(sample.features), sample.mse[:, 0], rtol=0.05)


@pytest.mark.parametrize("text", ["", "edge", "gain,gain", "gain,level,octave", "gain, level"])
def test_unknown_repeated_and_too_many_scores_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="scores are one of laplacian, octave, gain, level"):
        score_names(text)


def test_one_or_two_scores_are_read() -> None:
    assert score_names("laplacian") == ("laplacian",)
    assert score_names(",".join(DEFAULT_SCORES)) == DEFAULT_SCORES


def test_images_without_a_tile_are_refused() -> None:
    with pytest.raises(InputError, match="no image holds a tile of 8 px"):
        sample_tiles(Repeater(), 1, GRID, [(0, pair(7, 30))])
    with pytest.raises(LadderError, match="multiple of 8"):
        sample_tiles(Repeater(), 1, TileGrid(12, 2), [(0, pair(40, 40))])
