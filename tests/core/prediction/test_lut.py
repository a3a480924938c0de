"""The score-to-quality table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from arm_batch.core.prediction.lut import Lut
from arm_batch.core.tiling.scores import Score
from arm_batch.errors import LadderError
from tests.sealed import changed

finite = st.floats(0, 255**2, allow_subnormal=False)
scores = st.floats(-10, 100, width=32)


@pytest.fixture
def lut() -> Lut:
    return Lut(
        scores=(Score("laplacian"),),
        edges=np.array([10.0, 20.0]),
        cuts=np.empty((3, 0)),
        mse=np.array([[4.0, 1.0], [50.0, 20.0], [400.0, 100.0]]),
        psnr_db=np.array([[43.0, 49.0], [32.0, 36.0], [23.0, 29.0]]),
        standard_error=np.zeros((3, 2)),
        tiles=np.array([5, 3, 2]),
        provenance={"weights": "abc"},
    )


@pytest.fixture
def nested() -> Lut:
    ones = np.ones((4, 1))
    cuts = np.array([[1.0], [7.0]])
    pair = (Score("octave"), Score("laplacian"))
    return Lut(
        scores=pair,
        edges=np.array([10.0]),
        cuts=cuts,
        mse=ones,
        psnr_db=ones,
        standard_error=ones,
        tiles=np.ones(4, np.int64),
        provenance={},
    )


@pytest.mark.parametrize(
    ("score", "expected"), [(-1, 0), (0, 0), (9.99, 0), (10, 1), (19.9, 1), (20, 2), (40, 2), (1e9, 2)]
)
def test_bins_hold_their_lower_edge_and_the_outer_ones_everything_beyond(
    lut: Lut, score: float, expected: int
) -> None:
    assert lut.bin_of(np.array([[score]], np.float32)).tolist() == [expected]


@given(st.lists(st.tuples(scores, scores)))
def test_a_second_score_divides_the_bins_of_the_first(pairs: list[tuple[float, float]]) -> None:
    ones = np.ones((6, 1))
    cuts = np.array([[1.0, 3.0], [7.0, 7.0]])
    pair = (Score("octave"), Score("laplacian"))
    lut = Lut(
        scores=pair,
        edges=np.array([10.0]),
        cuts=cuts,
        mse=ones,
        psnr_db=ones,
        standard_error=ones,
        tiles=np.ones(6, np.int64),
        provenance={},
    )
    array = np.array(pairs, np.float32).reshape(-1, 2)
    expected = [3 * (a >= 10) + sum(b >= cut for cut in cuts[int(a >= 10)]) for a, b in array]
    assert lut.bin_of(array).tolist() == expected
    assert lut.histogram(array).tolist() == [expected.count(b) for b in range(6)]


@given(st.lists(scores))
def test_the_histogram_counts_every_score_once(values: list[float]) -> None:
    table = np.ones((2, 1))
    lut = Lut(
        scores=(Score("octave"),),
        edges=np.ones(1),
        cuts=np.empty((2, 0)),
        mse=table,
        psnr_db=table,
        standard_error=table,
        tiles=np.array([1, 1]),
        provenance={},
    )
    array = np.array(values, np.float32)[:, None]
    histogram = lut.histogram(array)
    assert histogram.dtype == np.int64
    assert histogram.tolist() == [int((array < 1).sum()), int((array >= 1).sum())]


def test_predicted_psnr_pools_squared_errors_over_the_area_of_the_images(lut: Lut) -> None:
    tiles = np.array([[0, 0], [1, 3], [0, 0]])
    assert lut.psnr_of(tiles, 4) == pytest.approx(10 * np.log10(255**2 / ((50 + 3 * 20) / 4)))
    assert lut.psnr_of(tiles, 2) == pytest.approx(10 * np.log10(255**2 / ((50 + 3 * 20) / 2)))


@given(
    arrays(np.float64, (3, 2), elements=finite),
    arrays(np.float64, (3, 2), elements=st.floats(0, 200)),
    st.dictionaries(st.text(), st.text()),
)
def test_json_round_trip_is_exact(mse: np.ndarray, psnr_db: np.ndarray, provenance: dict[str, str]) -> None:
    gain = Score("gain", (0.1, 1 / 3, -1e-9, 2.0, 1e6))
    lut = Lut(
        scores=(gain, Score("octave")),
        edges=np.empty(0),
        cuts=np.array([[1 / 7, 1e9]]),
        mse=mse,
        psnr_db=psnr_db,
        standard_error=mse / 3,
        tiles=np.array([1, 2, 10**12]),
        provenance=provenance,
    )
    back = Lut.from_json(lut.to_json().encode(), "lut.json")
    for name in ("edges", "cuts", "mse", "psnr_db", "standard_error", "tiles"):
        np.testing.assert_array_equal(getattr(back, name), getattr(lut, name))
    assert (back.scores, back.provenance) == (lut.scores, provenance)
    assert back.to_json() == lut.to_json()


def test_one_score_survives_the_round_trip(lut: Lut) -> None:
    assert Lut.from_json(lut.to_json().encode(), "lut.json").to_json() == lut.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"edges": np.array([0.0])},
        {"edges": np.array([20.0, 10.0])},
        {"edges": np.array([10.0, 10.0])},
        {"tiles": np.array([1, 2])},
        {"psnr_db": np.ones((3, 3))},
        {"standard_error": np.ones((2, 2))},
        {"mse": np.array([[1.0, 1.0], [1.0, np.nan], [1.0, 1.0]])},
        {"psnr_db": np.array([[1.0, 1.0], [1.0, np.nan], [1.0, 1.0]])},
        {"cuts": np.ones((3, 1))},
        {"cuts": np.empty(3)},
        {"scores": ()},
        {"scores": (Score("octave"),) * 3},
    ],
    ids=[
        "too few edges",
        "edges fall",
        "edges stay",
        "too few counts",
        "shapes differ",
        "errors of other shape",
        "nan",
        "nan dB",
        "cuts without a score",
        "flat cuts",
        "no score",
        "three scores",
    ],
)
def test_inconsistent_tables_are_refused(lut: Lut, change: dict[str, Any]) -> None:
    with pytest.raises(LadderError, match="LUT"):
        replace(lut, **change)


def test_cuts_must_not_fall_but_may_be_equal(nested: Lut) -> None:
    table, counts = np.ones((6, 1)), np.ones(6, np.int64)
    values: dict[str, Any] = {"mse": table, "psnr_db": table, "standard_error": table, "tiles": counts}
    replace(nested, cuts=np.array([[1.0, 1.0], [2.0, 3.0]]), **values)
    with pytest.raises(LadderError, match="do not ascend"):
        replace(nested, cuts=np.array([[1.0, 1.0], [3.0, 2.0]]), **values)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"edges": [0, 1]}', "3"])
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(LadderError, match=r"lut\.json is not a LUT: .*build-lut"):
        Lut.from_json(text.encode(), "lut.json")


@pytest.mark.parametrize(
    "key", ["scores", "edges", "cuts", "mse", "psnr_db", "standard_error", "tiles", "provenance"]
)
@pytest.mark.parametrize("value", [None, "x", 3, [[1], [2, 3]], [{"name": "gain", "weights": []}]])
def test_documents_with_a_damaged_field_are_refused(lut: Lut, key: str, value: object) -> None:
    with pytest.raises(LadderError, match="lut\\.json"):
        Lut.from_json(changed(lut.to_json().encode(), **{key: value}), "lut.json")
