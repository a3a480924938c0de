"""What the chaos tests share: an archive, the rows of an undisturbed run, and processes to kill."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from arm_batch import pipeline
from tests.archives import draw, job, silent, write_png
from tests.chaos.runs import IMAGES, SHARD_IMAGES, rows

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.chaos.runs"])


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Picks the first number in CI, the second under ``make chaos``."""
    full = request.config.getoption("--chaos") == "full"
    return lambda small, large: large if full else small


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty small images of many sizes, and three files that are none."""
    folder = tmp_path_factory.mktemp("archive")
    dice = random.Random(0)
    for seed in range(IMAGES - 3):
        write_png(folder / f"{seed % 4}" / f"{seed:02d}.png", draw(seed, dice.randint(1, 70), dice.randint(1, 70)))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "half.png").write_bytes((folder / "0" / "00.png").read_bytes()[:60])
    return folder


@pytest.fixture(scope="session")
def reference(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The rows of a run that nothing disturbs."""
    output = tmp_path_factory.mktemp("reference") / "out"
    summary = pipeline.upscale(job(archive, output, shard_images=SHARD_IMAGES), silent)
    assert (summary.images, summary.failed) == (IMAGES, 3)
    return rows(str(output))
