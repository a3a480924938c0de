"""Running the subnets of a ladder on batches of tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from arm_batch.core.arrays import Corners, Flags, Floats, Indices, Pixels, Singles
from arm_batch.core.tiling.grid import TileGrid, Upscaled, Windows
from arm_batch.core.tiling.interpolation import interpolate_tiles
from arm_batch.models.borders import inside_image
from arm_batch.models.ladder_files import Nets
from arm_batch.models.rungs.protocol import Ready
from arm_batch.models.runtimes.open import open_runtime
from arm_batch.models.runtimes.protocol import Forward
from arm_batch.spec import DEFAULT_ENGINE, Engine


class Upscaler:
    """The subnets of one ladder on one device, each made ready when it is first asked for.

    On CPUs each pass runs on one thread unless asked otherwise: a cluster's parallelism is its actors, and one
    thread makes the bytes independent of the machine's load.

    Args:
        nets: where each rung comes from, ``None`` for interpolation.
        grid: the tiling; outputs come back without its halos.
        scale: upscaling factor.
        device: ``cpu`` or ``cuda``.
        threads: of each pass on a CPU; of the whole process.
        engine: that runs nets.

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
        engine: Engine = DEFAULT_ENGINE,
    ) -> None:
        self._nets = nets
        self._grid = grid
        self._scale = scale
        self._device = torch.device(device)
        self._runtime = open_runtime(engine, self._device.type, threads)
        self._ready: dict[int, Ready] = {}

    @property
    def batch(self) -> int:
        """Windows of a subnet that run at once."""
        return self._runtime.batch

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        """Upscale windows with one subnet and cut their halos away.

        The pieces of a batch may differ in channels and depth (they come from different images); they are run
        together, grey as three equal channels, and those at the border of an image after all others. Where a
        net's output is not finite, the tile is interpolated.

        Args:
            subnet: index in the ladder.
            pieces: of pixels with 1 or 3 channels each.

        Returns:
            For each piece its tiles, same dtype and channels.
        """
        grid, scale = self._grid, self._scale
        net = self._nets[subnet]
        if net is None:
            return [Upscaled(interpolate_tiles(piece.pixels, grid, scale), 0) for piece in pieces]
        own = TileGrid(grid.tile, net.halo)
        if subnet not in self._ready:
            self._ready[subnet] = net.ready(self._runtime, own.window)
        forward, batch = self._ready[subnet]
        joined = _Joined.of([piece.cropped(grid.halo - net.halo) for piece in pieces])
        side = grid.tile * scale
        finite = np.empty(len(joined.peaks), np.bool_)
        outputs = np.empty((len(joined.peaks), side, side, 3), np.result_type(*(p.pixels.dtype for p in pieces)))
        for part in joined.passes(batch):
            finite[part] = self._run_batch(forward, own, joined, part, outputs)
        cuts = np.cumsum([len(piece.pixels) for piece in pieces])[:-1]
        return [
            self._finish(piece.pixels, part, ~sound)
            for piece, part, sound in zip(pieces, np.split(outputs, cuts), np.split(finite, cuts), strict=True)
        ]

    def _finish(self, piece: Pixels, outputs: Pixels, broken: Flags) -> Upscaled:
        pixels = outputs[..., : piece.shape[3]].astype(piece.dtype, copy=False)
        if broken.any():
            pixels[broken] = interpolate_tiles(piece[broken], self._grid, self._scale)
        return Upscaled(pixels, int(broken.sum()))

    def _run_batch(
        self, forward: Forward, grid: TileGrid, joined: _Joined, part: Indices, outputs: Pixels
    ) -> Flags:
        """Levels in 0..peak of some windows, without halos, into their places; says which are finite."""
        with torch.inference_mode():
            nhwc = torch.from_numpy(joined.windows[part]).to(self._device)
            corners = joined.inside[part]
            inside = inside_image(corners, grid.window, self._device) if joined.at_border[part[0]] else None
            cropped = grid.crop_halo(forward(nhwc, inside), self._scale)
            if joined.grey[part].any():
                members = torch.from_numpy(joined.grey[part]).to(self._device)
                cropped[members] = cropped[members].mean(dim=3, keepdim=True)
            # A sum is not finite where a summand is not, and takes one pass.
            finite: Flags = cropped.sum(dim=(1, 2, 3)).isfinite().cpu().numpy()
            peaks = torch.from_numpy(joined.peaks[part]).to(self._device, torch.float32)
            levels = cropped.clamp(0, 1).mul_(peaks[:, None, None, None]).round_()
            if self._device.type != "cpu":
                # A quarter of the bytes to copy. On CPUs numpy casts seven times as fast as torch.
                levels = levels.to(torch.from_numpy(outputs).dtype)
            with np.errstate(invalid="ignore"):
                outputs[part] = levels.cpu().numpy()
            return finite


@dataclass(frozen=True)
class _Joined:
    """The windows of several pieces.

    Attributes:
        windows: RGB in [0, 1], float32 ``(n, window, window, 3)``.
        inside: see `Windows`.
        at_border: see `Windows`.
        peaks: the highest level of each.
        grey: which of them are.
    """

    windows: Singles
    inside: Corners
    at_border: Flags
    peaks: Floats
    grey: Flags

    @classmethod
    def of(cls, pieces: Sequence[Windows]) -> _Joined:
        sizes = [len(piece.pixels) for piece in pieces]
        return cls(
            windows=np.concatenate([_to_rgb_float(piece.pixels) for piece in pieces]),
            inside=np.concatenate([piece.inside for piece in pieces]),
            at_border=np.concatenate([piece.at_border for piece in pieces]),
            peaks=np.repeat([float(np.iinfo(piece.pixels.dtype).max) for piece in pieces], sizes),
            grey=np.repeat([piece.pixels.shape[3] == 1 for piece in pieces], sizes),
        )

    def passes(self, size: int) -> Iterator[Indices]:
        """At most so many windows at once, each time all or none of them at a border."""
        for members in (np.flatnonzero(~self.at_border), np.flatnonzero(self.at_border)):
            for start in range(0, len(members), size):
                yield members[start : start + size]


def _to_rgb_float(piece: Pixels) -> Singles:
    scaled = piece.astype(np.float32) / np.float32(np.iinfo(piece.dtype).max)
    return np.broadcast_to(scaled, (*scaled.shape[:3], 3))
