"""What one training step minimises: which subnets it runs, and what each of them is to match.

- ``power``: one subnet, drawn with probability proportional to a power of its cost, because the costly ones take
  longest to converge and share their first channels with all others (Chen et al., "ARM: Any-Time
  Super-Resolution Method", ECCV 2022, with the square).
- ``sandwich``: the widest, the narrowest and one between (Yu & Huang, "Universally Slimmable Networks and Improved
  Training Techniques", ICCV 2019).
- ``distil``: the same three, the narrower two on the output of the widest instead of the HR image (in-place
  distillation, same source).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.choices import Loss, Strategy

LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss}
"""Mean absolute error, and mean squared error: what PSNR measures, so what ends nearest to it."""

Array = np.ndarray


def sampling_chances(supernet: Supernet, widths: Sequence[int], crop_px: int, power: float) -> Array:
    """The probability of each width under ``power``: proportional to its executed FLOPs to that power."""
    flops = np.array([supernet.flops(w, crop_px, crop_px).executed for w in widths], np.float64)
    # By the largest, so that no power overflows.
    powered = (flops / flops.max()) ** power
    chances: Array = powered / powered.sum()
    return chances


def widths_of_step(
    strategy: Strategy, widths: Sequence[int], chances: Array, rng: np.random.Generator
) -> list[int]:
    """The subnets that one step trains, widest first.

    Args:
        strategy: see above.
        widths: all subnets, narrowest first.
        chances: of each under ``power``.
        rng: of this step.
    """
    if strategy == "power":
        return [int(rng.choice(widths, p=chances))]
    between = [int(rng.choice(widths[1:-1]))] if len(widths) > 2 else []
    return sorted({widths[-1], *between, widths[0]}, reverse=True)


def set_gradients(
    supernet: Supernet,
    strategy: Strategy,
    loss: Loss,
    widths: Sequence[int],
    lr: Tensor,
    hr: Tensor,
    bf16: bool,
) -> Tensor:
    """Run the subnets of one step; the shared parameters' gradients are then those of their losses together.

    Args:
        supernet: whose parameters get the gradients.
        strategy: decides what the narrower subnets are to match.
        loss: between an output and what it is to match.
        widths: of the subnets, widest first.
        lr: ``(n, 3, h, w)`` in [0, 1].
        hr: ``(n, 3, scale * h, scale * w)``.
        bf16: run them in bfloat16 autocast; the losses are float32 either way.

    Returns:
        The loss of the first one, a scalar on the device: to read it at once would make a GPU wait.
    """
    _clear_gradients(supernet)
    target, losses = hr, []
    for place, width in enumerate(widths):
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=bf16):
            output = supernet(lr, width)
        distance = LOSSES[loss](output.float(), target)
        # L1 pulls as hard over a small distance as over a large one, and pulling a student towards its teacher
        # moves both, since they share weights: at full weight, two students drag the teacher off the HR image.
        weight = 0.5 / (len(widths) - 1) if strategy == "distil" and place else 1.0
        (weight * distance).backward()  # type: ignore[no-untyped-call]
        losses.append(distance.detach())
        if place == 0 and strategy == "distil":
            target = output.detach().float()
    return losses[0]


def _clear_gradients(supernet: Supernet) -> None:
    """Zeros for every parameter, those that this step's subnets lack too: optimisers want the same ones always.

    Set to zero and not away with: what a CUDA graph writes to must stay where it is.
    """
    for parameter in supernet.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    supernet.zero_grad(set_to_none=False)
