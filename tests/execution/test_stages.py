"""Images are read several at a time, in process as in a task, and nothing else is changed by it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.progress import Progress
from arm_batch.errors import StoppedError
from arm_batch.inputs.sources import Entry, Source
from arm_batch.storage.overlap import AT_ONCE
from tests.archives import draw, job, make_messy_archive, silent, write_png

IMAGES = 2 * AT_ONCE


class Gauge:
    """How many reads are under way; each waits until so many were, once."""

    def __init__(self, wanted: int) -> None:
        self._changed = threading.Condition()
        self._wanted = wanted
        self.active = self.most = 0
        self.order: list[str] = []

    def enter(self, entry: Entry) -> None:
        with self._changed:
            self.order.append(entry.path)
            self.active += 1
            self.most = max(self.most, self.active)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._wanted)

    def leave(self) -> None:
        with self._changed:
            self.active -= 1


_gauge = Gauge(0)


@dataclass(frozen=True)
class GaugedSource(Source):
    """Reads like any other, and is counted."""

    def read(self, entry: Entry) -> bytes:
        _gauge.enter(entry)
        try:
            return super().read(entry)
        finally:
            _gauge.leave()


@pytest.fixture
def gauged(monkeypatch: pytest.MonkeyPatch) -> Any:
    def gauge(wanted: int) -> Gauge:
        monkeypatch.setattr("arm_batch.inputs.listing.Source", GaugedSource)
        found = Gauge(wanted)
        monkeypatch.setattr("tests.execution.test_stages._gauge", found)
        return found

    return gauge


def rows(output: Path) -> pa.Table:
    return open_dataset(str(output)).to_table().sort_by("path")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_messy_archive(tmp_path_factory.mktemp("archive"))
    for seed in range(IMAGES):
        write_png(folder / f"n{seed:02d}.png", draw(seed, 9, 12))
    return folder


def test_reads_overlap_within_a_shard_and_across_shards(archive: Path, tmp_path: Path, gauged: Any) -> None:
    pipeline.upscale(job(archive, tmp_path / "reference", shard_images=5), silent)
    # Deadlocks unless so many are read at once while planning, though a shard has only five.
    gauge = gauged(AT_ONCE)
    asked: list[bool] = []

    def when_planned(progress: Progress) -> None:
        if progress.stage == "plan" and progress.shards_done == progress.shards:
            asked.append(True)

    with pytest.raises(StoppedError):
        pipeline.upscale(job(archive, tmp_path / "out", shard_images=5), when_planned, lambda: bool(asked))
    assert gauge.most == AT_ONCE
    # While the shards run, those of one at a time; two of the first five are known to be broken.
    gauge = gauged(3)
    pipeline.upscale(job(archive, tmp_path / "out", shard_images=5), silent)
    assert 3 <= gauge.most <= 5
    assert rows(tmp_path / "out").equals(rows(tmp_path / "reference"))


def test_rows_of_parquet_files_are_read_in_order_and_one_by_one(tmp_path: Path, gauged: Any) -> None:
    images = []
    for seed in range(12):
        write_png(tmp_path / "one.png", draw(seed, 9, 9))
        images.append((tmp_path / "one.png").read_bytes())
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"image": images}), tmp_path / "in" / "a.parquet", row_group_size=3)
    gauge = gauged(1)
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out", shard_images=12), silent)
    assert gauge.most == 1
    assert gauge.order == sorted(gauge.order[:12]) * 2


def test_a_stop_while_a_read_hangs_ends_the_planning(archive: Path, tmp_path: Path, gauged: Any) -> None:
    # As many as never are under way at once: all hang.
    gauge = gauged(10 * IMAGES)
    with pytest.raises(StoppedError, match="run the same command again to go on"):
        pipeline.upscale(job(archive, tmp_path / "out"), silent, lambda: gauge.active > 0)
    assert 0 < gauge.most <= AT_ONCE
    spec = job(archive, tmp_path / "out")
    gauged(0)
    pipeline.upscale(spec, silent)
    pipeline.upscale(replace(spec, output=str(tmp_path / "reference")), silent)
    assert rows(tmp_path / "out").equals(rows(tmp_path / "reference"))
