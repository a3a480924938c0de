"""Two drivers on the same output at the same time: both survive, and every row is there exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.archives import job
from tests.chaos.runs import SHARD_IMAGES, assert_as_undisturbed, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_two_at_once(archive: Path, tmp_path: Path, reference: pa.Table, scale: Callable[[int, int], int]) -> None:
    for number in range(scale(5, 50)):
        spec = job(archive, tmp_path / f"out-{number}", shard_images=SHARD_IMAGES)
        spec = replace(spec, sink="files" if number % 2 else "parquet")
        drivers = [start(spec), start(spec)]
        for driver in drivers:
            driver.join()
        assert [driver.exitcode for driver in drivers] == [0, 0]
        assert_as_undisturbed(spec, reference)
