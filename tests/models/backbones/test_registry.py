"""The closed list of backbones."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import BACKBONES, Backbone, get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_supernet, save_weights


@pytest.mark.parametrize("name", ["fsrcnn", "carn", "srresnet"])
def test_backbones_go_by_their_name(name: str) -> None:
    assert get_backbone(name) is BACKBONES[name]
    assert get_backbone(name).name == name


@pytest.mark.parametrize("name", ["", "FSRCNN", "os.system", "edsr"])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="known: fsrcnn, carn, srresnet"):
        get_backbone(name)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_published_widths_ascend_and_exist(backbone: Backbone) -> None:
    assert list(backbone.widths) == sorted(set(backbone.widths))
    assert backbone.full_width == backbone.widths[-1]
    for width in backbone.widths:
        backbone.check(width, 4)


class Tiny(nn.Module):
    """One convolution on an interpolated base."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * scale * scale, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return base + F.pixel_shuffle(self.tail(F.relu(self.head(x))), self.scale)


def small(net: Tiny) -> None:
    """How training begins."""
    nn.init.zeros_(net.tail.weight)


def test_a_module_and_one_line_are_a_new_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        BACKBONES, "tiny", Backbone(name="tiny", build=Tiny, start=small, widths=(4, 8), body=("head.",))
    )
    supernet = Supernet(get_backbone("tiny"), 2)
    path = tmp_path / "weights.safetensors"
    save_weights(path, supernet)
    loaded = load_supernet(path, get_backbone("tiny"), 2)
    x = torch.rand(2, 3, 6, 5)
    for width in (4, 8):
        narrow = loaded.subnet(width)
        assert narrow(x).shape == (2, 3, 12, 10)
        # Files hold half precision.
        torch.testing.assert_close(narrow(x), supernet.subnet(width)(x), atol=1e-3, rtol=0)
        assert loaded.flops(width, 6, 5).executed == 2 * 9 * width * (3 + 12) * 30
