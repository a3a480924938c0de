"""Between windows as the job has them and networks that take planes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from arm_batch.models.runtimes.protocol import Forward


def planar_forward(run: Callable[[Tensor], Tensor], channels: int) -> Forward:
    """A network that takes ``(n, channels, h, w)`` as a `Forward`; a grey one runs on each channel by itself.

    Args:
        run: the network, RGB or grey in [0, 1].
        channels: that it takes and gives, 1 or 3.
    """

    def forward(windows: Tensor, inside: Tensor | None) -> Tensor:
        # Where the image ends it sees the outermost pixels again: how it pads is its own affair.
        del inside
        count, height, width = windows.shape[:3]
        planes = windows.permute(0, 3, 1, 2).reshape(-1, channels, height, width)
        outputs = run(planes.contiguous())
        return outputs.reshape(count, 3, *outputs.shape[2:]).permute(0, 2, 3, 1)

    return forward
