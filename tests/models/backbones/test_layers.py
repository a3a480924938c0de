"""The layers that torch does not have in this form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from arm_batch.models.backbones.carn import RGB_MEAN
from arm_batch.models.backbones.layers import MeanShift, SubpixelConvTranspose2d, scale_initial_weights


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel_size", [4, 5, 8, 9])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7)])
def test_subpixel_form_equals_the_transposed_convolution(
    scale: int, kernel_size: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    layer = SubpixelConvTranspose2d(5, 3, kernel_size, scale)
    x = torch.randn(2, 5, height, width)
    padding = tuple(map(int, layer.padding))
    expected = F.conv_transpose2d(x, layer.weight, layer.bias, layer.stride, padding, layer.output_padding)
    assert expected.shape == (2, 3, scale * height, scale * width)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_transposed_weights() -> None:
    layer = SubpixelConvTranspose2d(2, 3, 9, 4).double()
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    ours = torch.autograd.grad(layer(x).square().sum(), layer.weight)[0]
    padding = tuple(map(int, layer.padding))
    reference = F.conv_transpose2d(x, layer.weight, layer.bias, 4, padding, layer.output_padding)
    torch.testing.assert_close(ours, torch.autograd.grad(reference.square().sum(), layer.weight)[0])


def test_mean_shifts_cancel_and_are_not_trained() -> None:
    x = torch.rand(1, 3, 4, 4)
    shift, back = MeanShift(RGB_MEAN, sign=-1), MeanShift(RGB_MEAN, sign=1)
    torch.testing.assert_close(shift(x), x - torch.tensor(RGB_MEAN).view(1, 3, 1, 1))
    torch.testing.assert_close(back(shift(x)), x)
    assert not any(p.requires_grad for p in shift.parameters())


def test_initial_weights_are_scaled_but_fixed_layers_left_alone() -> None:
    torch.manual_seed(0)
    fixed, free = MeanShift(RGB_MEAN, sign=1), nn.Conv2d(3, 512, 3)
    scale_initial_weights(nn.Sequential(fixed, free), 0.1)
    assert torch.equal(fixed.weight.view(3, 3), torch.eye(3))
    assert free.weight.std().item() == pytest.approx(0.1 * (2 / 27) ** 0.5, rel=0.05)
    assert free.bias is not None
    assert not free.bias.any()
