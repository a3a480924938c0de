"""The closed list of backbones."""

import pytest

from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import BACKBONES, get_backbone


@pytest.mark.parametrize("name", ["fsrcnn", "carn", "srresnet"])
def test_backbones_go_by_their_name(name):
    assert get_backbone(name) is BACKBONES[name]
    assert get_backbone(name).name == name


@pytest.mark.parametrize("name", ["", "FSRCNN", "os.system", "edsr"])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(UsageError, match="known: fsrcnn, carn, srresnet"):
        get_backbone(name)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_published_widths_ascend_and_exist(backbone):
    assert list(backbone.widths) == sorted(set(backbone.widths))
    assert backbone.full_width == backbone.widths[-1]
    for width in backbone.widths:
        backbone.check(width, 4)
