"""The deep plain network."""

import pytest
import torch

from arm_batch.errors import UsageError
from arm_batch.models.backbones.deep import BLOCKS, Deep
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(get_backbone("deep"), 4)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("width", BLOCKS)
def test_output_is_scale_times_the_input(width: int, scale: int) -> None:
    assert Deep(width, scale)(torch.rand(2, 3, 7, 9)).shape == (2, 3, 7 * scale, 9 * scale)


def test_it_costs_no_more_than_it_was_made_for(supernet: Supernet) -> None:
    multiply_adds = [supernet.flops(width, 32, 32).executed / 2e6 for width in BLOCKS]
    assert multiply_adds == pytest.approx([21.68, 74.98, 166.04], abs=0.01)


def test_without_detail_it_interpolates_bilinearly() -> None:
    net = Deep(16, 4)
    with torch.no_grad():
        net.get_parameter("tails.16.weight").zero_()
        net.get_parameter("tails.16.bias").zero_()
        ramp = torch.arange(8.0).expand(1, 3, 8, 8) / 8
        inner = net(ramp)[0, 0, 16, 4:-4]
    torch.testing.assert_close(inner.diff(), torch.full_like(inner[1:], 1 / 32))


def test_a_narrow_subnet_is_the_first_channels_of_the_first_blocks(supernet: Supernet) -> None:
    crop = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        before = supernet.subnet(16)(crop)
        supernet.net.get_parameter("body.3.first.weight").add_(1)
        supernet.net.get_parameter("body.0.first.weight")[16:].add_(1)
        supernet.net.get_parameter("tails.32.weight").add_(1)
        assert torch.equal(supernet.subnet(16)(crop), before)
        supernet.net.get_parameter("body.2.first.weight")[:16, :16].add_(1)
        assert not torch.equal(supernet.subnet(16)(crop), before)


def test_no_depth_is_known_of_other_widths(supernet: Supernet) -> None:
    with pytest.raises(UsageError, match=r"width 20 is not one of \(16, 24, 32\)"):
        supernet.subnet(20)
