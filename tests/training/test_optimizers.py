"""SOAP: Adam's steps in a turning basis for kernels, Adam for the rest."""

from collections.abc import Callable

import pytest
import torch

from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.choices import OptimizerName
from arm_batch.training.optimizers import Soap, make_optimizers, set_learning_rate


def badly_scaled_problem() -> tuple[torch.nn.Parameter, Callable[[], torch.Tensor]]:
    """A kernel whose loss is a quadratic with correlated directions, of curvatures from 1 to 10,000."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    curvature = turn @ torch.diag(torch.logspace(0, 4, 12)) @ turn.T
    target = torch.randn(8, 12, generator=generator)
    kernel = torch.nn.Parameter(torch.zeros(8, 3, 2, 2))

    def loss() -> torch.Tensor:
        off = kernel.flatten(1) - target
        return torch.sum(off @ curvature * off)

    return kernel, loss


def loss_after(steps: int, loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> float:
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / steps)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return float(loss().detach())


def test_correlated_directions_of_unlike_curvature_are_no_obstacle() -> None:
    kernel, loss = badly_scaled_problem()
    with_adam = loss_after(300, loss, torch.optim.Adam([kernel], betas=(0.95, 0.95)))
    kernel, loss = badly_scaled_problem()
    with_soap = loss_after(300, loss, Soap([kernel], lr=0.03))
    assert with_soap < with_adam / 100


def test_the_first_gradient_only_begins_the_statistics() -> None:
    kernel, loss = badly_scaled_problem()
    optimizer = Soap([kernel], lr=0.1)
    loss().backward()
    optimizer.step()
    assert (kernel == 0).all()
    optimizer.step()
    assert kernel.grad is not None
    assert (kernel * kernel.grad).sum() < 0


def mean_step_length(scale: float) -> float:
    """Root mean square of a step at a rate of 1, on independent gradients of that scale."""
    generator = torch.Generator().manual_seed(0)
    kernel = torch.nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = Soap([kernel], lr=1.0)
    lengths = []
    for _ in range(100):
        before = kernel.detach().clone()
        kernel.grad = scale * torch.randn(kernel.shape, generator=generator)
        optimizer.step()
        lengths.append((kernel.detach() - before).square().mean().sqrt())
    return float(torch.stack(lengths[20:]).mean())


def test_steps_are_as_long_whatever_the_scale_of_the_gradients() -> None:
    assert mean_step_length(1e-3) == pytest.approx(mean_step_length(1e3), rel=0.05)
    # A running mean of 20 independent gradients has a sixth of their size: 1 / sqrt(2 * 20 - 1).
    assert mean_step_length(1) == pytest.approx(1 / 6, rel=0.3)


def test_bases_stay_orthogonal_and_approach_the_eigenvectors() -> None:
    kernel, loss = badly_scaled_problem()
    optimizer = Soap([kernel], lr=1e-3)
    for _ in range(201):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    state = optimizer.state[kernel]
    for product, basis in (("rows", "row_basis"), ("columns", "column_basis")):
        turn = state[basis][0]
        torch.testing.assert_close(turn.T @ turn, torch.eye(len(turn)), rtol=0, atol=1e-4)
        turned = turn.T @ state[product][0] @ turn
        strongest = turned[:3, :3]
        assert (strongest - torch.diag(strongest.diag())).abs().max() < 0.01 * strongest.diag().max()


def test_without_gradient_nothing_moves() -> None:
    kernel = torch.nn.Parameter(torch.ones(2, 2))
    Soap([kernel], lr=1.0).step()
    assert (kernel == 1).all()


@pytest.mark.parametrize("name", ["adam", "soap"])
def test_every_trained_parameter_belongs_to_one_optimiser(name: OptimizerName) -> None:
    supernet = Supernet(get_backbone("carn"), 4)
    owned = [p for o in make_optimizers(name, supernet, 1e-3) for group in o.param_groups for p in group["params"]]
    trained = [p for p in supernet.parameters() if p.requires_grad]
    assert len(owned) == len({id(p) for p in owned}) == len(trained)
    assert {id(p) for p in owned} == {id(p) for p in trained}


def test_beside_soap_biases_move_by_a_tenth_of_what_slopes_do() -> None:
    supernet = Supernet(get_backbone("fsrcnn"), 2)
    optimizers = make_optimizers("soap", supernet, 1.0)
    set_learning_rate(optimizers, 1e-3)
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    for parameter in supernet.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    moved = {name: (before[name] - p.detach()).abs() for name, p in supernet.named_parameters() if p.ndim == 1}
    assert {round(float(m.max()), 6) for name, m in moved.items() if name.endswith(".bias")} == {1e-4}
    assert {round(float(m.max()), 6) for name, m in moved.items() if name.endswith(".weight")} == {1e-3}
