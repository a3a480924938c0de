"""What nets lose in bfloat16 is measured."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from arm_batch.evaluation.calibrate import Photographs
from arm_batch.evaluation.precision import bf16_loss_db
from arm_batch.models.ladder_files import load_ladder


@pytest.mark.parametrize(("name", "low", "high"), [("archive-x4", -0.01, 0.02), ("fsrcnn-x4", 0.005, 0.2)])
def test_nets_that_add_to_an_image_lose_next_to_nothing(name: str, low: float, high: float) -> None:
    files = load_ladder(name)
    photograph = Path(str(resources.files("skimage.data"))) / "rocket.jpg"
    lost = bf16_loss_db(files.nets, files.ladder.grid, files.ladder.scale, Photographs(((photograph, (2,)),)))
    assert len(lost) == len(files.nets) - 1
    assert all(low < each < high for each in lost)
