"""What a training is validated on."""

import math

import pytest
import torch

from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.tensors import bicubic
from arm_batch.training.validation import CHUNK, Gain, Group, Validated, validate

WIDTHS = (16, 32)


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(get_backbone("plain"), 2)


def group(pictures: str, inputs: str, seed: int, count: int = 3) -> Group:
    generator = torch.Generator().manual_seed(seed)
    lr = torch.rand(count, 3, 8, 8, generator=generator)
    return Group(pictures, inputs, (lr, torch.rand(count, 3, 16, 16, generator=generator)))


def y_error(output: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    luma = torch.tensor([65.481, 128.553, 24.966])[:, None, None] / 255
    return ((output.clamp(0, 1) - hr) * luma).sum(dim=1).square().mean(dim=(1, 2))


def test_gains_are_means_over_the_crops_of_a_group(supernet: Supernet) -> None:
    groups = [group("aerials", "clean", 0), group("aerials", "archive", 1), group("text", "clean", 2, CHUNK + 1)]
    found = validate(supernet, WIDTHS, groups)
    assert [(g.width, g.pictures, g.inputs) for g in found.gains] == [
        (width, g.pictures, g.inputs) for width in WIDTHS for g in groups
    ]
    squares = []
    for gain, (lr, hr) in zip(found.gains, [g.crops for g in groups] * 2, strict=True):
        with torch.no_grad():
            output = supernet(lr, gain.width)
        ratios = y_error(bicubic(2)(lr), hr) / y_error(output, hr)
        assert gain.db == pytest.approx((10 * ratios.log10()).mean().item(), abs=1e-3)
        squares.append((output.clamp(0, 1) - hr).square().mean(dim=(1, 2, 3)))
    assert found.is_finite
    assert found.psnr_db[16] == pytest.approx(-10 * math.log10(torch.cat(squares[:3]).mean()), abs=1e-3)


def test_kinds_of_pictures_count_the_same() -> None:
    gains = [
        Gain(pictures="a", inputs="clean", width=16, db=1.0),
        Gain(pictures="b", inputs="clean", width=16, db=0.0),
        Gain(pictures="a", inputs="archive", width=16, db=-0.5),
    ]
    assert Validated({16: 30.0}, tuple(gains)).mean_gains_db() == {"clean": {16: 0.5}, "archive": {16: -0.5}}


def test_a_crop_without_any_error_has_a_finite_gain(supernet: Supernet) -> None:
    flat = Group("flat", "clean", (torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 8, 8), 0.5)))
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert validate(supernet, (16,), [flat]).gains[0].db == pytest.approx(0)


def test_weights_that_are_no_numbers_are_seen(supernet: Supernet) -> None:
    with torch.no_grad():
        next(supernet.parameters()).fill_(math.nan)
    assert not validate(supernet, (16,), [group("a", "clean", 0)]).is_finite
