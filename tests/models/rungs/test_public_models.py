"""Real-ESRGAN's public models as rungs, from the package on PyPI that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arm_batch.core.prediction.metrics import psnr
from arm_batch.core.tiling.grid import TileGrid, Windows
from arm_batch.models.inference import Upscaler
from arm_batch.models.rungs.files import read_model
from arm_batch.models.rungs.model_rung import ModelRung
from tests.foreign_models import NEEDS_MODELS, download_wheel, save_anime_6b, save_anime_video
from tests.image_files import smooth

pytestmark = [NEEDS_MODELS, pytest.mark.slow]

WINDOW = 32


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download_wheel(tmp_path_factory.mktemp("wheel"))


def flops_of(convolutions: list[tuple[int, int, int]]) -> int:
    """By hand, of 3x3 convolutions from and to so many channels, on so many pixels for each of the window."""
    return sum(2 * 9 * source * target * pixels for source, target, pixels in convolutions) * WINDOW**2


def check(path: Path, architecture: str, flops: int) -> None:
    model = read_model(path).model
    declared = model.declared()
    assert declared.architecture.startswith(architecture)
    assert (declared.scale, declared.channels) == (4, 3)
    assert model.flops(WINDOW) == flops
    # A picture without detail comes out as it was.
    grid = TileGrid(16, 8)
    windows = Windows.within(smooth(3, WINDOW, WINDOW)[None])
    upscaler = Upscaler((None, ModelRung(model, 8)), grid, 4, "cpu")
    plain, found = (upscaler.run(rung, [windows])[0].pixels[0] for rung in (0, 1))
    assert not np.array_equal(plain, found)
    assert psnr(found, plain) > 18


def test_anime_video_is_a_compact_net(wheel: Path, tmp_path: Path) -> None:
    convolutions = [(3, 64, 1), *[(64, 64, 1)] * 16, (64, 48, 1)]
    check(
        save_anime_video(wheel, tmp_path / "v3.safetensors"),
        "RealESRGAN Compact 64nf 16nc",
        flops_of(convolutions),
    )


def test_anime_6b_is_an_rrdb_net_of_six_blocks(wheel: Path, tmp_path: Path) -> None:
    dense = [(64 + 32 * before, 32, 1) for before in range(4)] + [(192, 64, 1)]
    tail = [(64, 64, 1), (64, 64, 4), (64, 64, 16), (64, 64, 16), (64, 3, 16)]
    convolutions = [(3, 64, 1), *dense * 18, *tail]
    check(save_anime_6b(wheel, tmp_path / "6b.safetensors"), "ESRGAN", flops_of(convolutions))
