"""FLOPs in both conventions."""

import pytest
import torch
from torch import nn

from arm_batch.models.backbones.flops import Flops, count_flops
from arm_batch.models.backbones.layers import MeanShift
from arm_batch.models.backbones.registry import BACKBONES, get_backbone
from arm_batch.models.backbones.slimmable import Supernet


@pytest.mark.parametrize(
    ("name", "width", "executed", "paper"),
    [
        ("fsrcnn", 16, 21_823_488, 141_262_852),
        ("fsrcnn", 36, 35_831_808, 304_570_372),
        ("fsrcnn", 56, 49_840_128, 467_877_892),
        ("carn", 36, 380_528_640, 380_215_296),
        ("carn", 52, 771_876_864, 771_563_520),
        ("carn", 64, 1_155_188_736, 1_154_875_392),
    ],
)
def test_published_figures_of_a_32x32_patch(name: str, width: int, executed: int, paper: int) -> None:
    assert Supernet(get_backbone(name), 4).flops(width, 32, 32) == Flops(executed, paper)


@pytest.mark.parametrize(
    ("layer", "executed", "paper"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 2 * 9 * 3 * 8 * 20, 2 * 9 * 3 * 8 * 20),
        (nn.Conv2d(3, 6, 1, groups=3), 2 * 6 * 20, 2 * 6 * 20),
        (nn.Conv2d(3, 8, 3, padding=1, stride=2), 2 * 9 * 3 * 8 * 6, 2 * 9 * 3 * 8 * 6),
        (nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1), 2 * 16 * 3 * 2 * 20, 2 * 16 * 3 * 2 * 80),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.PReLU()), 2 * 3 * 20, 2 * 3 * 20 + 1),
        (MeanShift((0.1, 0.2, 0.3), sign=1), 2 * 9 * 20, 0),
    ],
    ids=["conv", "grouped", "strided", "transposed", "prelu", "colour shift"],
)
def test_layers_over_4x5_px(
    layer: MeanShift | nn.Conv2d | nn.ConvTranspose2d | nn.Sequential, executed: int, paper: int
) -> None:
    assert count_flops(layer, 4, 5) == Flops(executed, paper)


def test_a_layer_that_is_applied_twice_counts_twice() -> None:
    conv = nn.Conv2d(3, 3, 1)
    assert count_flops(nn.Sequential(conv, conv), 2, 2).executed == 2 * count_flops(conv, 2, 2).executed


@pytest.mark.parametrize("name", BACKBONES)
def test_executed_flops_are_proportional_to_the_area_and_grow_with_width(name: str) -> None:
    supernet = Supernet(get_backbone(name), 4)
    costs = [supernet.flops(w, 8, 8).executed for w in supernet.backbone.widths]
    assert costs == sorted(set(costs))
    assert supernet.flops(supernet.backbone.full_width, 16, 24).executed == 6 * costs[-1]


def test_counting_leaves_no_hooks_behind() -> None:
    conv = nn.Conv2d(3, 3, 1)
    count_flops(conv, 2, 2)
    assert not conv._forward_hooks
    with torch.no_grad():
        conv(torch.zeros(1, 3, 2, 2))
