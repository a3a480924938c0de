"""The ladder's consistency."""

import numpy as np
import pytest

from arm_batch.core.prediction.ladder import INTERPOLATION, Ladder, Subnet, interpolation_flops
from arm_batch.core.prediction.lut import Lut
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.scores import Score, score_tiles
from arm_batch.errors import LadderError


def ladder(*subnets: tuple[str, int], columns: int | None = None) -> Ladder:
    table = np.ones((2, columns or len(subnets)))
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
    return Ladder(
        name="test",
        scale=4,
        grid=TileGrid(32, 2),
        subnets=tuple(Subnet(n, f, 0) for n, f in subnets),
        lut=lut,
        digest="00",
    )


def test_costs_are_whole_flops() -> None:
    costs = ladder((INTERPOLATION, 5), ("a", 10**12)).costs
    assert costs.dtype == np.int64
    assert costs.tolist() == [5, 10**12]


@pytest.mark.parametrize(
    "subnets",
    [
        [("a", 1), ("b", 2)],
        [("a", 1), (INTERPOLATION, 2)],
        [(INTERPOLATION, 5), ("a", 5)],
        [(INTERPOLATION, 5), ("a", 9), ("b", 8)],
    ],
    ids=["no interpolation", "interpolation last", "equal costs", "costs fall"],
)
def test_ladders_ascend_from_interpolation(subnets: list[tuple[str, int]]) -> None:
    with pytest.raises(LadderError, match="must ascend"):
        ladder(*subnets)


def test_the_table_must_have_a_column_for_each_subnet() -> None:
    with pytest.raises(LadderError, match="3 columns for 2 subnets"):
        ladder((INTERPOLATION, 1), ("a", 2), columns=3)


def test_interpolation_costs_four_taps_twice() -> None:
    # x4: 4 columns of 1 row and 4 x 4 px for each LR px, four multiply-adds each, three channels.
    assert interpolation_flops(4, 1) == 2 * 3 * 4 * (4 + 16)
    assert interpolation_flops(4, 36) == 36 * 36 * interpolation_flops(4, 1)


def test_images_get_the_scores_that_the_table_wants() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)
    rungs = ladder((INTERPOLATION, 1), ("a", 2))
    np.testing.assert_array_equal(rungs.scores(image), score_tiles([Score("octave")], image, rungs.grid))
    assert rungs.scores(image).shape == (6, 1)
    assert rungs.no_scores.shape == (0, 1)
