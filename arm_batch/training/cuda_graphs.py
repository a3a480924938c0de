"""The gradients of a training step on a GPU, replayed instead of launched kernel by kernel.

The kernels of these networks are about as short as the time that Python takes to launch one. A CUDA graph is
recorded once and launched as a whole; it needs everything it touches to stay where it is in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.choices import Loss, Strategy
from arm_batch.training.strategies import set_gradients

WARM_UP_RUNS = 3
"""Before a recording: cuDNN chooses its algorithms then, which a recording cannot."""


@dataclass(frozen=True, kw_only=True)
class _Recording:
    """One graph, and where it reads and writes."""

    graph: torch.cuda.CUDAGraph
    lr: Tensor
    hr: Tensor
    loss: Tensor


class RecordedGradients:
    """`set_gradients` for steps that are all of one shape: a recording for each set of subnets and each precision.

    Args:
        supernet: on a CUDA device; its parameters and their gradients must stay where they are.
        strategy: as for `set_gradients`.
        loss: as for `set_gradients`.
    """

    def __init__(self, supernet: Supernet, strategy: Strategy, loss: Loss) -> None:
        self._supernet = supernet
        self._strategy: Strategy = strategy
        self._loss: Loss = loss
        self._recordings: dict[tuple[int | bool, ...], _Recording] = {}
        self._pool = torch.cuda.graph_pool_handle()
        for parameter in supernet.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)

    def __call__(self, widths: Sequence[int], lr: Tensor, hr: Tensor, bf16: bool) -> Tensor:
        """As `set_gradients`."""
        key = (*widths, bf16)
        if key not in self._recordings:
            self._recordings[key] = self._record(widths, lr, hr, bf16)
        recording = self._recordings[key]
        recording.lr.copy_(lr)
        recording.hr.copy_(hr)
        recording.graph.replay()
        # The next replay, of whichever recording, may write there: they share their memory.
        return recording.loss.clone()

    def _record(self, widths: Sequence[int], lr: Tensor, hr: Tensor, bf16: bool) -> _Recording:
        lr, hr = (side.clone(memory_format=torch.channels_last) for side in (lr, hr))

        def run() -> Tensor:
            return set_gradients(self._supernet, self._strategy, self._loss, widths, lr, hr, bf16)

        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            loss = run()
        return _Recording(graph=graph, lr=lr, hr=hr, loss=loss)
