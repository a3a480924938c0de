"""The optimisers of the trainer: Adam, or Muon for weights with Adam for what is left."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from arm_batch.nets.slimmable import Supernet

OptimizerName = Literal["adam", "muon"]

BETAS = (0.9, 0.99)


class Muon(Optimizer):
    """Momentum whose every step is replaced by the nearest matrix with equal singular values.

    A kernel ``(out, in, k, k)`` counts as the matrix ``(out, in * k * k)``. Source: Jordan et al., "Muon: An
    optimizer for hidden layers in neural networks", 2024; the step length that makes Adam's learning rates fit is
    that of Liu et al., "Muon is Scalable for LLM Training", 2025.

    Args:
        params: of two or more dimensions.
        lr: length of a step, in Adam's terms.
        momentum: of the gradients; Nesterov's kind.
    """

    def __init__(self, params: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; `closure` must be left out."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                ahead = parameter.grad + group["momentum"] * state["momentum"]
                matrix = orthogonalize(ahead.flatten(1))
                length = 0.2 * max(matrix.shape) ** 0.5
                parameter.sub_(matrix.view_as(parameter), alpha=group["lr"] * length)


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """`matrix` with its singular values moved to between 0.7 and 1.2, by a Newton-Schulz iteration.

    The polynomial is Muon's, tuned for speed: it lifts small values quickly and does not converge to exactly 1.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (torch.linalg.matrix_norm(x) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    orthogonal: Tensor = x.T if tall else x
    return orthogonal


def make_optimizers(name: OptimizerName, supernet: Supernet, learning_rate: float) -> tuple[Optimizer, ...]:
    """What trains `supernet`; each parameter belongs to one of them."""
    trained = [p for p in supernet.parameters() if p.requires_grad]
    if name == "adam":
        return (Adam(trained, lr=learning_rate, betas=BETAS),)
    kernels = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    return Muon(kernels, learning_rate), Adam(others, lr=learning_rate, betas=BETAS)
