"""The optimisers of the trainer: Adam, or SOAP for kernels with Adam for what is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.choices import OptimizerName

BETAS = (0.9, 0.99)

BIAS_SHARE = 0.1
"""Of the learning rate, for biases beside kernels that SOAP trains: at the full rate they drive units of a ReLU to
where nothing reaches them any more."""


class Soap(Optimizer):
    """Adam in a basis that turns with the gradients, in which they are nearly uncorrelated.

    A gradient ``(out, in, k, k)`` counts as a matrix G of shape ``(out, in * k * k)``; the basis of either side is
    made of the eigenvectors of the running mean of ``G G^T`` or ``G^T G``. Matrices of one shape are worked on
    together, as a stack ``(n, out, in * k * k)``, whose state is kept by its first parameter: on GPUs these small
    products take less time than their launches. Thin networks are ill-conditioned
    (FSRCNN's mapping is four linear convolutions in a row), and Adam, blind to correlations, gains little a step.
    Source: Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024.

    Args:
        params: of two or more dimensions; the same ones have gradients at every step.
        lr: as Adam's.
        memory: how much of the running means of gradients, squares and both products is kept at each step.
        refresh_every: steps between turns of the basis, which cost a QR decomposition of each side.
    """

    def __init__(
        self, params: list[torch.nn.Parameter], lr: float, memory: float = 0.95, refresh_every: int = 10
    ) -> None:
        super().__init__(params, {"lr": lr, "memory": memory, "refresh_every": refresh_every})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient, except at its first one; `closure` must be left out."""
        assert closure is None
        for group in self.param_groups:
            for stack in _stacks(group["params"]):
                state = self.state[stack[0]]
                gradient = torch.stack([p.grad.flatten(1) for p in stack if p.grad is not None])
                if not state:
                    # One gradient has as many directions as its smaller side: enough for a basis, not for a step.
                    state.update(_first_state(gradient, group["memory"]))
                    continue
                moves = _move(state, gradient, group["memory"])
                for parameter, move in zip(stack, moves, strict=True):
                    parameter.sub_(move.view_as(parameter), alpha=group["lr"])
                if state["moves"] % group["refresh_every"] == 0:
                    _turn_basis(state)


def _stacks(params: list[torch.nn.Parameter]) -> Iterable[list[torch.nn.Parameter]]:
    """Those that have a gradient, by the shape of their matrix."""
    by_shape: dict[tuple[int, int], list[torch.nn.Parameter]] = {}
    for parameter in params:
        if parameter.grad is not None:
            by_shape.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
    return by_shape.values()


def _first_state(gradient: Tensor, memory: float) -> dict[str, Any]:
    rows, columns = gradient @ gradient.mT, gradient.mT @ gradient
    return {
        "moves": 0,
        "rows": rows * (1 - memory),
        "columns": columns * (1 - memory),
        "row_basis": torch.linalg.eigh(rows).eigenvectors,
        "column_basis": torch.linalg.eigh(columns).eigenvectors,
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
    }


def _move(state: dict[str, Any], gradient: Tensor, memory: float) -> Tensor:
    """Adam's step, taken in the basis of `state`; the running means move on by one."""
    left, right = state["row_basis"], state["column_basis"]
    state["moves"] += 1
    turned = left.mT @ gradient @ right
    # The mean is kept as it is, since the basis turns; the squares belong to the basis.
    state["mean"].lerp_(gradient, 1 - memory)
    state["square"].mul_(memory).addcmul_(turned, turned, value=1 - memory)
    state["rows"].lerp_(gradient @ gradient.mT, 1 - memory)
    state["columns"].lerp_(gradient.mT @ gradient, 1 - memory)
    unbiased = 1 - memory ** state["moves"]
    adam = left.mT @ (state["mean"] / unbiased) @ right / ((state["square"] / unbiased).sqrt() + 1e-8)
    move: Tensor = left @ adam @ right.mT
    return move


def _turn_basis(state: dict[str, Any]) -> None:
    """Bring each basis nearer to the eigenvectors: one power iteration, made orthogonal again."""
    for product, basis, axis in (("rows", "row_basis", 1), ("columns", "column_basis", 2)):
        powered = state[product] @ state[basis]
        # QR keeps leading directions best: strongest first, and the squares keep to their directions.
        order = (state[basis] * powered).sum(1).argsort(descending=True)
        state[basis] = torch.linalg.qr(powered.take_along_dim(order[:, None, :], 2)).Q
        state["square"] = state["square"].take_along_dim(order.unsqueeze(3 - axis), axis)


def make_optimizers(name: OptimizerName, supernet: Supernet, learning_rate: float) -> tuple[Optimizer, ...]:
    """What trains `supernet`; each parameter belongs to one of them."""
    trained = {key: p for key, p in supernet.named_parameters() if p.requires_grad}
    if name == "adam":
        return (Adam(trained.values(), lr=learning_rate, betas=BETAS),)
    kernels = [p for p in trained.values() if p.ndim > 1]
    biases = [p for key, p in trained.items() if key.endswith(".bias")]
    slopes = [p for key, p in trained.items() if p.ndim <= 1 and not key.endswith(".bias")]
    groups: list[dict[str, Any]] = [{"params": slopes}, {"params": biases, "share": BIAS_SHARE}]
    return Soap(kernels, learning_rate), Adam(groups, lr=learning_rate, betas=BETAS)


def set_learning_rate(optimizers: tuple[Optimizer, ...], learning_rate: float) -> None:
    """The rate of the next step; biases take their share of it."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group.get("share", 1.0)
