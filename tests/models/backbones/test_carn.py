"""CARN's first weights."""

import pytest
import torch
import torch.nn.functional as F

from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet

REACH_OF_ZEROS_BEYOND_THE_BORDER_PX = 3


@pytest.mark.parametrize("width", [24, 36, 52, 64])
@pytest.mark.parametrize(("scale", "steps"), [(2, [2]), (3, [3]), (4, [2, 2])])
def test_it_starts_as_interpolation_whatever_the_width(width: int, scale: int, steps: list[int]) -> None:
    image = torch.rand(1, 3, 12, 14)
    expected = image
    for step in steps:
        expected = F.interpolate(expected, scale_factor=step, mode="bilinear")
    margin = REACH_OF_ZEROS_BEYOND_THE_BORDER_PX * scale
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    with torch.no_grad():
        out = Supernet(get_backbone("carn"), scale)(image, width)
    torch.testing.assert_close(out[inner], expected[inner], rtol=0, atol=1e-5)


def test_all_weights_learn_from_the_second_step_on() -> None:
    # At first the exit reads the carried image alone, so nothing else can matter.
    supernet = Supernet(get_backbone("carn"), 4)
    trained = {name: p for name, p in supernet.net.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(trained.values(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        supernet(torch.rand(2, 3, 12, 12), 64).square().mean().backward()
        optimizer.step()
    assert not [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
