"""Running the subnets of a ladder on batches of tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from arm_batch.core.arrays import Flags, Pixels
from arm_batch.core.tiling.grid import TileGrid, Upscaled
from arm_batch.core.tiling.interpolation import interpolate_tiles
from arm_batch.models.ladder_files import Nets
from arm_batch.models.runtimes.open import open_runtime
from arm_batch.models.runtimes.protocol import Forward
from arm_batch.spec import RuntimeName


class Upscaler:
    """The subnets of one ladder on one device, each made ready when it is first asked for.

    On CPUs each pass runs on one thread unless asked otherwise: a cluster's parallelism is its actors, and one
    thread makes the bytes independent of the machine's load.

    Args:
        nets: supernet and width of each subnet, ``None`` for interpolation.
        grid: the tiling; outputs come back without its halos.
        scale: upscaling factor.
        device: ``cpu`` or ``cuda``.
        threads: of each pass on a CPU; of the whole process.
        runtime: that runs nets on CPUs. GPUs have PyTorch alone.

    Raises:
        UsageError: this machine lacks the runtime.
    """

    def __init__(
        self,
        nets: Nets,
        grid: TileGrid,
        scale: int,
        device: str,
        threads: int = 1,
        *,
        runtime: RuntimeName = "torch",
    ) -> None:
        self._nets = nets
        self._grid = grid
        self._scale = scale
        self._device = torch.device(device)
        self._runtime = open_runtime(runtime, self._device.type, threads)
        self._forwards: dict[int, Forward] = {}

    @property
    def batch(self) -> int:
        """Windows that run at once."""
        return self._runtime.batch

    def run(self, subnet: int, pieces: Sequence[Pixels]) -> list[Upscaled]:
        """Upscale windows with one subnet and cut their halos away.

        The pieces of a batch may differ in channels and depth (they come from different images); they are run
        together, grey as three equal channels. Where a net's output is not finite, the tile is interpolated.

        Args:
            subnet: index in the ladder.
            pieces: uint8 or uint16 ``(n, window, window, c)`` each, c of 1 or 3.

        Returns:
            For each piece its tiles, same dtype and channels.
        """
        grid, scale = self._grid, self._scale
        net = self._nets[subnet]
        if net is None:
            return [Upscaled(interpolate_tiles(piece, grid, scale), 0) for piece in pieces]
        if subnet not in self._forwards:
            self._forwards[subnet] = self._runtime.materialise(net, grid.window)
        forward = self._forwards[subnet]
        sizes = [len(piece) for piece in pieces]
        inputs = np.concatenate([_to_rgb_float(piece) for piece in pieces])
        peaks = np.repeat([float(np.iinfo(piece.dtype).max) for piece in pieces], sizes)
        grey = np.repeat([piece.shape[3] == 1 for piece in pieces], sizes)
        side = grid.tile * scale
        finite = np.empty(len(inputs), np.bool_)
        outputs = np.empty((len(inputs), side, side, 3), np.result_type(*(piece.dtype for piece in pieces)))
        for start in range(0, len(inputs), self.batch):
            part = slice(start, start + self.batch)
            finite[part] = self._run_batch(forward, inputs[part], peaks[part], grey[part], outputs[part])
        cuts = np.cumsum(sizes)[:-1]
        return [
            self._finish(piece, part[..., : piece.shape[3]].astype(piece.dtype, copy=False), ~sound)
            for piece, part, sound in zip(pieces, np.split(outputs, cuts), np.split(finite, cuts), strict=True)
        ]

    def _finish(self, piece: Pixels, pixels: Pixels, broken: Flags) -> Upscaled:
        if broken.any():
            pixels[broken] = interpolate_tiles(piece[broken], self._grid, self._scale)
        return Upscaled(pixels, int(broken.sum()))

    def _run_batch(
        self, forward: Forward, windows: np.ndarray, peaks: np.ndarray, grey: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Levels in 0..peak of float32 NHWC in [0, 1], without halos, into `out`; says which are finite."""
        with torch.inference_mode():
            nhwc = torch.from_numpy(windows).to(self._device)
            cropped = self._grid.crop_halo(forward(nhwc), self._scale)
            if grey.any():
                members = torch.from_numpy(grey).to(self._device)
                cropped[members] = cropped[members].mean(dim=3, keepdim=True)
            # A sum is not finite where a summand is not, and takes one pass.
            finite: np.ndarray = cropped.sum(dim=(1, 2, 3)).isfinite().cpu().numpy()
            scale = torch.from_numpy(peaks).to(self._device, torch.float32)
            levels = cropped.clamp(0, 1).mul_(scale[:, None, None, None]).round_()
            if self._device.type != "cpu":
                # A quarter of the bytes to copy. On CPUs numpy casts seven times as fast as torch.
                levels = levels.to(torch.from_numpy(out).dtype)
            with np.errstate(invalid="ignore"):
                np.copyto(out, levels.cpu().numpy(), casting="unsafe")
            return finite


def _to_rgb_float(piece: Pixels) -> np.ndarray:
    scaled = piece.astype(np.float32) / np.float32(np.iinfo(piece.dtype).max)
    return np.broadcast_to(scaled, (*scaled.shape[:3], 3))
