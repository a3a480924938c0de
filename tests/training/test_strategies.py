"""Which subnets a training step runs, and what they are to match."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.choices import Loss, Strategy
from arm_batch.training.strategies import sampling_chances, set_gradients, widths_of_step

WIDTHS = (16, 36, 56)


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(get_backbone("fsrcnn"), 2)


def crops() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 16, 16, generator=generator)


def gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def gradients(supernet: Supernet) -> list[torch.Tensor]:
    return [gradient(p) for p in supernet.parameters()]


def test_costly_subnets_are_drawn_more_often(supernet: Supernet) -> None:
    costs = np.array([supernet.flops(w, 8, 8).executed for w in WIDTHS], float)
    np.testing.assert_allclose(sampling_chances(supernet, WIDTHS, 8, 2), costs**2 / (costs**2).sum())
    np.testing.assert_allclose(sampling_chances(supernet, WIDTHS, 8, 0), 1 / 3)
    np.testing.assert_allclose(sampling_chances(supernet, WIDTHS, 8, 1000), [0, 0, 1], atol=1e-9)


def test_power_draws_one_subnet_with_its_chance() -> None:
    chances = np.array([0.1, 0.3, 0.6])
    drawn = [widths_of_step("power", WIDTHS, chances, np.random.default_rng(i)) for i in range(2000)]
    assert all(len(widths) == 1 for widths in drawn)
    shares = [drawn.count([width]) / len(drawn) for width in WIDTHS]
    np.testing.assert_allclose(shares, chances, atol=0.04)


@pytest.mark.parametrize("strategy", ["sandwich", "distil"])
@pytest.mark.parametrize(
    ("widths", "expected"),
    [((16,), {(16,)}), ((16, 56), {(56, 16)}), ((16, 24, 36, 56), {(56, 24, 16), (56, 36, 16)})],
)
def test_the_sandwich_holds_the_widest_and_the_narrowest(
    strategy: Strategy, widths: tuple[int, ...], expected: set[tuple[int, ...]]
) -> None:
    chances = np.full(len(widths), 1 / len(widths))
    drawn = {tuple(widths_of_step(strategy, widths, chances, np.random.default_rng(i))) for i in range(20)}
    assert drawn == expected


@pytest.mark.parametrize(("name", "distance"), [("l1", F.l1_loss), ("l2", F.mse_loss)])
def test_gradients_of_a_sandwich_add_up(
    supernet: Supernet, name: Loss, distance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    lr, hr = crops()
    loss = set_gradients(supernet, "sandwich", name, [56, 16], lr, hr, bf16=False)
    found = [g.clone() for g in gradients(supernet)]
    supernet.zero_grad()
    losses = [distance(supernet(lr, width), hr) for width in (56, 16)]
    torch.stack(losses).sum().backward()
    assert loss == pytest.approx(losses[0].item())
    torch.testing.assert_close(found, gradients(supernet))


def test_distillation_teaches_the_narrow_subnet_what_the_widest_draws(supernet: Supernet) -> None:
    lr, hr = crops()
    set_gradients(supernet, "distil", "l1", [56, 16], lr, hr, bf16=False)
    found = [g.clone() for g in gradients(supernet)]
    supernet.zero_grad()
    widest = supernet(lr, 56)
    (F.l1_loss(widest, hr) + 0.5 * F.l1_loss(supernet(lr, 16), widest.detach())).backward()
    torch.testing.assert_close(found, gradients(supernet))


def test_layers_that_a_step_does_not_run_have_gradients_of_zero() -> None:
    supernet = Supernet(get_backbone("deep"), 2)
    set_gradients(supernet, "power", "l1", [16], *crops(), bf16=False)
    found = {name: gradient(parameter) for name, parameter in supernet.net.named_parameters()}
    assert found["body.0.first.weight"].any()
    for absent in ("body.7.first.weight", "tails.32.weight"):
        assert not found[absent].any()
