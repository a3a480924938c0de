"""The optimisers of the trainer: Adam, or SOAP for kernels with Adam for what is left."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from arm_batch.nets.slimmable import Supernet

OptimizerName = Literal["adam", "soap"]

BETAS = (0.9, 0.99)

BIAS_SHARE = 0.1
"""Of the learning rate, for biases beside kernels that SOAP trains: at the full rate they drive units of a ReLU to
where nothing reaches them any more."""


class Soap(Optimizer):
    """Adam in a basis that turns with the gradients, in which they are nearly uncorrelated.

    A gradient ``(out, in, k, k)`` counts as a matrix G of shape ``(out, in * k * k)``; the basis of either side is
    made of the eigenvectors of the running mean of ``G G^T`` or ``G^T G``. Thin networks are ill-conditioned
    (FSRCNN's mapping is four linear convolutions in a row), and Adam, blind to correlations, gains little a step.
    Source: Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024.

    Args:
        params: of two or more dimensions.
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
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient, state = parameter.grad.flatten(1), self.state[parameter]
                if not state:
                    # One gradient has as many directions as its smaller side: enough for a basis, not for a step.
                    state.update(_first_state(gradient, group["memory"]))
                    continue
                move = _move(state, gradient, group["memory"])
                parameter.sub_(move.view_as(parameter), alpha=group["lr"])
                if state["moves"] % group["refresh_every"] == 0:
                    _turn_basis(state)


def _first_state(gradient: Tensor, memory: float) -> dict[str, Any]:
    rows, columns = gradient @ gradient.T, gradient.T @ gradient
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
    turned = left.T @ gradient @ right
    # The mean is kept as it is, since the basis turns; the squares belong to the basis.
    state["mean"].lerp_(gradient, 1 - memory)
    state["square"].mul_(memory).addcmul_(turned, turned, value=1 - memory)
    state["rows"].lerp_(gradient @ gradient.T, 1 - memory)
    state["columns"].lerp_(gradient.T @ gradient, 1 - memory)
    unbiased = 1 - memory ** state["moves"]
    adam = left.T @ (state["mean"] / unbiased) @ right / ((state["square"] / unbiased).sqrt() + 1e-8)
    move: Tensor = left @ adam @ right.T
    return move


def _turn_basis(state: dict[str, Any]) -> None:
    """Bring each basis nearer to the eigenvectors: one power iteration, made orthogonal again."""
    for product, basis, axis in (("rows", "row_basis", 0), ("columns", "column_basis", 1)):
        powered = state[product] @ state[basis]
        # QR keeps leading directions best: strongest first, and the squares keep to their directions.
        order = (state[basis] * powered).sum(0).argsort(descending=True)
        state[basis] = torch.linalg.qr(powered[:, order]).Q
        state["square"] = state["square"].index_select(axis, order)


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
