"""The plain residual network."""

import pytest
import torch

from arm_batch.models.backbones.plain import Plain
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_is_scale_times_the_input(scale: int) -> None:
    assert Plain(16, scale)(torch.rand(2, 3, 7, 9)).shape == (2, 3, 7 * scale, 9 * scale)


def test_it_costs_no_more_than_it_was_made_for() -> None:
    supernet = Supernet(get_backbone("plain"), 4)
    multiply_adds = [supernet.flops(width, 32, 32).executed / 2e6 for width in (16, 32, 48)]
    assert multiply_adds == pytest.approx([21.68, 71.66, 149.96], abs=0.01)


def test_without_detail_it_interpolates_bilinearly() -> None:
    net = Plain(16, 4)
    with torch.no_grad():
        net.tail.weight.zero_()
        assert net.tail.bias is not None
        net.tail.bias.zero_()
        ramp = torch.arange(8.0).expand(1, 3, 8, 8) / 8
        inner = net(ramp)[0, 0, 16, 4:-4]
    torch.testing.assert_close(inner.diff(), torch.full_like(inner[1:], 1 / 32))
