"""Running the subnets of a ladder on batches of tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from arm_batch.core.interpolate import bicubic
from arm_batch.core.tiles import Pixels
from arm_batch.nets.ladder_files import LadderFiles

MICRO_BATCH = 64
"""Windows per forward pass: small enough for a CPU's caches, large enough to feed a GPU's launch queue."""


class Upscaler:
    """The subnets of one ladder, materialised on one device.

    On CPUs each pass runs on one thread: a cluster's parallelism is its actors, and one thread makes the bytes
    independent of the machine's load.

    Args:
        files: the ladder with its supernets.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, files: LadderFiles, device: str) -> None:
        torch.set_num_threads(1)
        self._ladder = files.ladder
        self._device = torch.device(device)
        self._subnets = [
            None if net is None else net[0].subnet(net[1]).to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for net in files.nets
        ]

    def run(self, subnet: int, pieces: Sequence[Pixels]) -> list[Pixels]:
        """Upscale windows with one subnet and cut their halos away.

        The pieces of a batch may differ in channels and depth (they come from different images); they are run
        together, grey as three equal channels.

        Args:
            subnet: index in the ladder.
            pieces: uint8 or uint16 ``(n, window, window, c)`` each, c of 1 or 3.

        Returns:
            For each piece ``(n, scale*tile, scale*tile, c)``, same dtype.
        """
        grid, scale = self._ladder.grid, self._ladder.scale
        module = self._subnets[subnet]
        if module is None:
            return [grid.crop_halo(bicubic(piece, scale), scale) for piece in pieces]
        sizes = [len(piece) for piece in pieces]
        inputs = np.concatenate([_to_rgb_float(piece) for piece in pieces])
        outputs = np.concatenate(
            [self._forward(module, inputs[i : i + MICRO_BATCH]) for i in range(0, len(inputs), MICRO_BATCH)]
        )
        parts = np.split(outputs, np.cumsum(sizes)[:-1])
        return [_from_rgb_float(part, piece) for part, piece in zip(parts, pieces, strict=True)]

    def _forward(self, module: torch.nn.Module, windows: np.ndarray) -> np.ndarray:
        """float32 NHWC in [0, 1] to the same, upscaled and without halos, clamped."""
        with torch.inference_mode():
            nhwc = torch.from_numpy(windows).to(self._device)
            # An NHWC array seen as NCHW is what channels_last means: no copy on the way in or out.
            outputs = module(nhwc.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return self._ladder.grid.crop_halo(outputs.clamp(0, 1).cpu().numpy(), self._ladder.scale)


def _to_rgb_float(piece: Pixels) -> np.ndarray:
    scaled = piece.astype(np.float32) / np.float32(np.iinfo(piece.dtype).max)
    return np.broadcast_to(scaled, (*scaled.shape[:3], 3))


def _from_rgb_float(outputs: np.ndarray, like: Pixels) -> Pixels:
    if like.shape[3] == 1:
        outputs = outputs.mean(axis=3, keepdims=True)
    rounded: Pixels = np.rint(outputs * np.iinfo(like.dtype).max).astype(like.dtype)
    return rounded
