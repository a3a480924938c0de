"""Batches on one device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arm_batch.core.tiling.grid import TileGrid, Windows
from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.models.inference import Upscaler
from arm_batch.models.rungs.subnet import SubnetRung
from tests.cuda import NEEDS_CUDA
from tests.image_files import noise

GRID = TileGrid(8, 2)


class Faulty(torch.nn.Module):
    """Repeats pixels; where the first one of a window is white the output is not finite."""

    def __init__(self, fault: float) -> None:
        super().__init__()
        self._fault = fault

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        outputs = windows.repeat_interleave(2, 2).repeat_interleave(2, 3)
        outputs[windows[:, 0, 0, 0] == 1, :, 10, 12] = self._fault
        return outputs


class Supernet:
    """Stands for one: `subnet` gives the module."""

    def __init__(self, fault: float) -> None:
        self._fault = fault

    def subnet(self, _: int) -> torch.nn.Module:
        return Faulty(self._fault)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def test_tiles_that_are_not_finite_are_interpolated_and_counted(device: str) -> None:
    kinds = ((3, 8), (1, 16), (3, 16))
    pieces = [noise(0, 9 * 12, 12, *kind).reshape(9, 12, 12, kind[0]) for kind in kinds]
    for piece in pieces:
        piece[:, 0, 0] = 0
    pieces[0][[2, 5], 0, 0] = 255
    pieces[1][8, 0, 0] = 65535
    for fault in (float("nan"), float("inf"), -float("inf")):
        net = SubnetRung(Supernet(fault), 1, GRID.halo)  # type: ignore[arg-type]
        upscaler = Upscaler((None, net), GRID, 2, device)
        outputs = upscaler.run(1, [Windows.within(piece) for piece in pieces])
        assert [output.not_finite for output in outputs] == [2, 1, 0]
        for piece, output, broken in zip(pieces, outputs, ([2, 5], [8], []), strict=True):
            expected = GRID.crop_halo(piece.repeat(2, axis=1).repeat(2, axis=2), 2).copy()
            expected[broken] = GRID.crop_halo(bicubic(piece[broken], 2), 2)
            assert output.pixels.dtype == piece.dtype
            np.testing.assert_array_equal(output.pixels, expected)


def test_interpolation_is_never_at_fault() -> None:
    (output,) = Upscaler((None,), GRID, 2, "cpu").run(0, [Windows.within(noise(0, 12, 12)[None])])
    assert output.not_finite == 0
