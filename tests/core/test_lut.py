"""The edge-to-quality table."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from arm_batch.core.lut import Lut
from arm_batch.errors import LadderError

finite = st.floats(0, 1e5, allow_subnormal=False)


@pytest.fixture
def lut() -> Lut:
    return Lut(
        edges=np.array([0.0, 10.0, 20.0, 40.0]),
        mse=np.array([[4.0, 1.0], [50.0, 20.0], [400.0, 100.0]]),
        psnr_db=np.array([[43.0, 49.0], [32.0, 36.0], [23.0, 29.0]]),
        tiles=np.array([5, 3, 2]),
        provenance={"weights": "abc"},
    )


@pytest.mark.parametrize(
    ("score", "expected"), [(-1, 0), (0, 0), (9.99, 0), (10, 1), (19.9, 1), (20, 2), (40, 2), (1e9, 2)]
)
def test_bins_hold_their_lower_edge_and_the_outer_ones_everything_beyond(lut, score, expected):
    assert lut.bin_of(np.array([score], np.float32)).tolist() == [expected]


@given(st.lists(st.floats(-10, 100, width=32)))
def test_the_histogram_counts_every_score_once(scores):
    lut = Lut(np.array([0.0, 1.0, 2.0]), np.ones((2, 1)), np.ones((2, 1)), np.array([1, 1]), {})
    array = np.array(scores, np.float32)
    histogram = lut.histogram(array)
    assert histogram.dtype == np.int64
    assert histogram.tolist() == [int((array < 1).sum()), int((array >= 1).sum())]


def test_predicted_psnr_pools_squared_errors(lut):
    tiles = np.array([[0, 0], [1, 3], [0, 0]])
    assert lut.psnr_of(tiles) == pytest.approx(10 * np.log10(255**2 / ((50 + 3 * 20) / 4)))


@given(
    arrays(np.float64, (3, 2), elements=finite),
    arrays(np.float64, (3, 2), elements=finite),
    st.dictionaries(st.text(), st.text()),
)
def test_json_round_trip_is_exact(mse, psnr_db, provenance):
    lut = Lut(np.array([0.1, 1 / 3, 7.0, 1e9]), mse, psnr_db, np.array([1, 2, 10**12]), provenance)
    back = Lut.from_json(lut.to_json())
    for name in ("edges", "mse", "psnr_db", "tiles"):
        np.testing.assert_array_equal(getattr(back, name), getattr(lut, name))
    assert back.provenance == provenance
    assert back.to_json() == lut.to_json()


def test_infinite_psnr_survives_the_round_trip(lut):
    perfect = replace(lut, psnr_db=np.full((3, 2), np.inf))
    assert np.isinf(Lut.from_json(perfect.to_json()).psnr_db).all()


@pytest.mark.parametrize(
    "change",
    [
        {"edges": np.array([0.0, 1.0])},
        {"edges": np.array([0.0, 20.0, 10.0, 40.0])},
        {"tiles": np.array([1, 2])},
        {"psnr_db": np.ones((3, 3))},
        {"mse": np.array([[1.0, 1.0], [1.0, np.nan], [1.0, 1.0]])},
    ],
    ids=["too few edges", "edges fall", "too few counts", "shapes differ", "nan"],
)
def test_inconsistent_tables_are_refused(lut, change):
    with pytest.raises(LadderError, match="LUT"):
        replace(lut, **change)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"edges": [0, 1]}', "3"])
def test_other_documents_are_refused(text):
    with pytest.raises(LadderError, match="not a LUT"):
        Lut.from_json(text)


@pytest.mark.parametrize("key", ["edges", "mse", "psnr_db", "tiles", "provenance"])
@pytest.mark.parametrize("value", [None, "x", 3, [[1], [2, 3]]])
def test_documents_with_a_damaged_field_are_refused(lut, key, value):
    document = json.loads(lut.to_json()) | {key: value}
    with pytest.raises(LadderError):
        Lut.from_json(json.dumps(document))
