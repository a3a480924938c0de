"""Recorded gradients, where there is a GPU."""

from typing import Any

import pytest
import torch

from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.training.cuda_graphs import RecordedGradients
from arm_batch.training.strategies import set_gradients
from tests.cuda import NEEDS_CUDA

pytestmark = NEEDS_CUDA


def start(backbone: str) -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(get_backbone(backbone), 2).to("cuda")
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


def gradients_of(supernet: Supernet) -> list[torch.Tensor]:
    return [p.grad.clone() for p in supernet.parameters() if p.grad is not None]


@pytest.mark.parametrize("backbone", ["fsrcnn", "carn", "srresnet", "plain", "deep"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_replay_gives_what_launching_does(backbone: str, bf16: bool) -> None:
    eager, recorded = start(backbone), start(backbone)
    replay = RecordedGradients(recorded, "power", "l1")
    optimizers = [torch.optim.SGD(net.parameters(), lr=1e-3) for net in (eager, recorded)]
    widths = get_backbone(backbone).widths
    # Each width twice: recorded, then replayed, on other weights and crops and after other recordings.
    for step, width in enumerate([*widths, *widths]):
        torch.manual_seed(step)
        lr, hr = (torch.rand(4, 3, side, side, device="cuda") for side in (16, 32))
        expected = set_gradients(eager, "power", "l1", [width], lr, hr, bf16)
        loss = replay([width], lr, hr, bf16)
        near: dict[str, Any] = {"rtol": 2e-2, "atol": 2e-3} if bf16 else {"rtol": 1e-3, "atol": 1e-4}
        torch.testing.assert_close(loss, expected, **near)
        torch.testing.assert_close(gradients_of(recorded), gradients_of(eager), **near)
        for optimizer in optimizers:
            optimizer.step()


def test_distillation_is_recorded_with_its_teacher() -> None:
    eager, recorded = start("fsrcnn"), start("fsrcnn")
    lr, hr = (torch.rand(4, 3, side, side, device="cuda") for side in (16, 32))
    expected = set_gradients(eager, "distil", "l1", [56, 16], lr, hr, bf16=False)
    loss = RecordedGradients(recorded, "distil", "l1")([56, 16], lr, hr, False)
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gradients_of(recorded), gradients_of(eager), rtol=1e-3, atol=1e-4)
