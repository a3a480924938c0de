"""Telling nets where an image ends, in windows that reach beyond it.

A net that runs on a whole image pads it with zeros in each of its convolutions. In a window of fixed size the same
comes out where the input of each convolution is zero beyond the border.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arm_batch.core.arrays import Corners


class Bordered(nn.Module):
    """A network that is told what of its input lies in the image; its own weights, not a copy.

    Args:
        net: a network whose convolutions keep the size of its input, or of what pixel shuffles made of it.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._inside: Tensor | None = None
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and max(layer.kernel_size) > 1:
                layer.register_forward_pre_hook(self._clear)

    def forward(self, windows: Tensor, inside: Tensor | None) -> Tensor:
        """Run it.

        Args:
            windows: ``(n, 3, h, w)``.
            inside: ``(n, 1, h, w)``, 1 in the image and 0 beyond; None where all of it is in the image.
        """
        self._inside = inside
        outputs: Tensor = self.net(windows)
        self._inside = None
        return outputs

    def _clear(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        del layer
        if self._inside is None:
            return None
        (features,) = inputs
        enlarged = features.shape[2] // self._inside.shape[2]
        inside = self._inside if enlarged == 1 else F.interpolate(self._inside, scale_factor=enlarged)
        return features * inside


def inside_image(corners: Corners, window: int, device: torch.device) -> Tensor:
    """What of each window lies in the image, as nets are told: float32 ``(n, window, window, 1)``, 1 or 0.

    Args:
        corners: as of `Windows.inside`.
        window: side of a window, px.
        device: that the windows are on.
    """
    top, bottom, left, right = torch.from_numpy(corners.astype("int64")).to(device).unbind(1)
    place = torch.arange(window, device=device)
    rows = (place >= top[:, None]) & (place < bottom[:, None])
    columns = (place >= left[:, None]) & (place < right[:, None])
    return (rows[:, :, None] & columns[:, None, :]).float()[..., None]
