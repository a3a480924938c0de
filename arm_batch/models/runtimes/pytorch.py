"""PyTorch, as it runs modules by itself: the reference that other runtimes are held to, and what GPUs use."""

from __future__ import annotations

import torch
from torch import Tensor

from arm_batch.models.borders import Bordered
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.protocol import Forward
from arm_batch.spec import Precision

BATCH = {"cpu": 16, "cuda": 256}
"""Windows per forward pass. On CPUs few, so that the allocator reuses its buffers: at 64 windows each of them
comes fresh from the kernel, and a quarter of the time goes into page faults."""


class TorchRuntime:
    """Eager modules in channels_last.

    Args:
        device: ``cpu`` or ``cuda``.
        threads: of each pass on a CPU; of the whole process.
        precision: of products; what is added to an image, and images, stay float32.
    """

    def __init__(self, device: str, threads: int, precision: Precision = "fp32") -> None:
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._precision = precision
        self._threads = threads

    @property
    def device(self) -> torch.device:
        """See `Runtime`."""
        return self._device

    @property
    def threads(self) -> int:
        """See `Runtime`."""
        return self._threads

    @property
    def batch(self) -> int:
        """See `Runtime`."""
        return BATCH[self._device.type]

    def materialise(self, net: SubnetRung, window: int) -> Forward:
        """See `Runtime`; it runs windows of any size."""
        del window
        module = net.module().to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bordered = Bordered(module)

        def forward(windows: Tensor, inside: Tensor | None) -> Tensor:
            # An NHWC array seen as NCHW is what channels_last means: no copy on the way in or out.
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
                outputs: Tensor = bordered(
                    windows.permute(0, 3, 1, 2), None if inside is None else inside.permute(0, 3, 1, 2)
                )
            return outputs.float().permute(0, 2, 3, 1)

        return forward
