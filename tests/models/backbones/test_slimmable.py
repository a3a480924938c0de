"""Supernets: subnets are leading corners of the shared weights, in training and inference alike."""

import pytest
import torch
import torch.nn.functional as F

from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import BACKBONES, SCALES, get_backbone
from arm_batch.models.backbones.slimmable import Supernet, leading_corner

CASES = [(name, width) for name, backbone in BACKBONES.items() for width in backbone.widths]


@pytest.fixture(scope="module")
def supernets() -> dict[str, Supernet]:
    torch.manual_seed(0)
    return {name: Supernet(backbone, 4) for name, backbone in BACKBONES.items()}


@pytest.mark.parametrize(("name", "width"), CASES)
def test_the_training_and_inference_forms_agree(supernets: dict[str, Supernet], name: str, width: int) -> None:
    x = torch.rand(2, 3, 6, 5)
    supernet = supernets[name]
    with torch.no_grad():
        trained_form = supernet(x, width)
    assert trained_form.shape == (2, 3, 24, 20)
    torch.testing.assert_close(supernet.subnet(width)(x), trained_form, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_widest_subnet_is_the_supernet(supernets: dict[str, Supernet], name: str) -> None:
    supernet = supernets[name]
    x = torch.rand(1, 3, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(supernet.subnet(supernet.backbone.full_width)(x), supernet.net(x))


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_gives_its_size(name: str, scale: int) -> None:
    backbone = get_backbone(name)
    narrow = backbone.widths[0]
    assert Supernet(backbone, scale).subnet(narrow)(torch.rand(1, 3, 4, 3)).shape == (1, 3, 4 * scale, 3 * scale)


def test_narrow_training_steps_change_only_the_leading_corner(supernets: dict[str, Supernet]) -> None:
    supernet = supernets["fsrcnn"]
    supernet.zero_grad()
    supernet(torch.rand(1, 3, 6, 6), 16).sum().backward()
    gradient = supernet.net.get_parameter("head_conv.0.weight").grad
    assert gradient is not None
    assert gradient[:16].abs().sum() > 0
    assert not gradient[16:].any()


def test_subnets_are_contiguous_frozen_copies(supernets: dict[str, Supernet]) -> None:
    module = supernets["carn"].subnet(36)
    assert not module.training
    assert all(p.is_contiguous() and not p.requires_grad for p in module.parameters())
    shared = supernets["carn"].net.state_dict()
    for name, tensor in module.state_dict().items():
        assert tensor.data_ptr() != shared[name].data_ptr()
        assert torch.equal(tensor, leading_corner(shared[name], tensor.shape))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("width", [16, 56])
def test_fsrcnn_starts_as_bilinear_interpolation_beside_its_random_channels(width: int, scale: int) -> None:
    supernet = Supernet(get_backbone("fsrcnn"), scale)
    x = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        supernet.net.get_parameter("tail_conv.weight")[3:] = 0
        out = supernet(x, width)
    expected = F.interpolate(x, scale_factor=float(scale), mode="bilinear", align_corners=False)
    # At the border the transposed convolution reads zeros.
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    torch.testing.assert_close(out[inner], expected[inner], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "width", "scale"), [("carn", 38, 4), ("carn", 0, 4), ("fsrcnn", 57, 4), ("fsrcnn", 16, 5)]
)
def test_impossible_subnets_are_refused(name: str, width: int, scale: int) -> None:
    with pytest.raises(UsageError, match=name):
        get_backbone(name).check(width, scale)


def test_subnets_of_other_widths_than_the_published_can_be_had(supernets: dict[str, Supernet]) -> None:
    assert supernets["fsrcnn"].subnet(24)(torch.rand(1, 3, 4, 4)).shape == (1, 3, 16, 16)
    with pytest.raises(UsageError, match="width 60"):
        supernets["fsrcnn"](torch.rand(1, 3, 4, 4), 60)
