"""Several processes that train one supernet: each takes a share of every batch, and all take the same step.

What every process holds (weights, optimisers, schedule, draws) is the same, so a checkpoint that four of them
wrote may be continued by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from arm_batch.errors import TrainingError


@dataclass(frozen=True)
class Workers:
    """This process among those that train together.

    Attributes:
        rank: of this process, from 0.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @staticmethod
    def current(batch_size: int) -> Workers:
        """Those of `torch.distributed`'s process group; this process alone where there is none.

        Raises:
            TrainingError: a batch of so many crops cannot be shared out evenly.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return Workers()
        count = dist.get_world_size()
        if batch_size % count:
            raise TrainingError(f"batches of {batch_size} crops cannot be shared out evenly among {count} workers")
        return Workers(dist.get_rank(), count)

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, crops: Tensor) -> Tensor:
        """This process's part of a batch."""
        size = len(crops) // self.count
        return crops[self.rank * size : (self.rank + 1) * size]

    def average(self, net: nn.Module, loss: Tensor) -> Tensor:
        """Average all gradients of `net` over the processes, in place; returns the average of their losses."""
        if self.count == 1:
            return loss
        # In one tensor: these networks have dozens of small parameters, and a message costs more than its bytes.
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        flat = torch.cat([loss.reshape(1), *(gradient.flatten() for gradient in gradients)])
        dist.all_reduce(flat)
        flat /= self.count
        _deal_out(flat[1:], gradients)
        # Not a view: the trainer keeps losses for a while, and would keep all gradients with them.
        return flat[0].clone()

    def follow(self, net: nn.Module) -> None:
        """Replace the trained weights of `net` by those of the process that leads.

        Equal gradients give nearly equal steps only: where gradients leave directions open, the eigenvectors that
        SOAP turns to depend on how the machine rounds, and processes on unlike machines would drift apart.
        """
        if self.count == 1:
            return
        weights = [p.data for p in net.parameters() if p.requires_grad]
        flat = torch.cat([weight.flatten() for weight in weights])
        dist.broadcast(flat, src=0)
        _deal_out(flat, weights)


def _deal_out(flat: Tensor, tensors: list[Tensor]) -> None:
    """Copy consecutive parts of `flat` into `tensors`."""
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()
