"""Images that are there more than once: upscaled once, with a row and an output each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import pipeline
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.errors import OutputError, StoppedError, UsageError
from arm_batch.inputs.sources import Entry, Source
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume, Sink
from tests.archives import LADDER, draw, job, replanned, silent, write_png
from tests.pipeline.test_inputs import rows
from tests.pipeline.test_resume import stop_after

COLUMNS = ("status", "error", "sha256", "flops", "tiles", "width", "source_size", "copy_of", "image")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three images; one of them three times and one twice."""
    for number, name in enumerate(("a", "b", "c")):
        write_png(tmp_path / "in" / f"{name}.png", draw(number, 40, 50))
    for name, copy in (("a", "d/a again"), ("a", "z"), ("b", "bb")):
        (tmp_path / "in" / "d").mkdir(exist_ok=True)
        shutil.copyfile(tmp_path / "in" / f"{name}.png", tmp_path / "in" / f"{copy}.png")
    return tmp_path / "in"


@pytest.fixture
def spec(archive: Path, tmp_path: Path) -> JobSpec:
    return replanned(job(archive, tmp_path / "out", budget="50%", shard_images=2), dedup=True)


COPIES = {"d/a again.png": "a.png", "z.png": None, "bb.png": "b.png"}
"""Of shards of two images: the third one of the same bytes begins anew."""


@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
def test_copies_cost_nothing_and_have_all_that_others_have(spec: JobSpec, tmp_path: Path, sink: Sink) -> None:
    spec = replanned(replace(spec, sink=sink), limits=replace(spec.plan.limits, images=32))
    summary = pipeline.upscale(spec, silent)
    assert (summary.images, summary.failed, summary.duplicates) == (6, 0, 3)
    found = rows(tmp_path / "out", *COLUMNS)
    for path, first in {"d/a again.png": "a.png", "z.png": "a.png", "bb.png": "b.png"}.items():
        copy, original = found[path], found[first]
        assert copy["copy_of"] == first
        assert original["copy_of"] is None
        assert (copy["flops"], copy["tiles"]) == (0, 0)
        assert original["flops"] > 0
        for column in ("sha256", "width", "source_size", "status"):
            assert copy[column] == original[column]
        assert copy["image"]["path"] != original["image"]["path"]
        assert copy["image"]["bytes"] == original["image"]["bytes"]
    assert found["c.png"]["copy_of"] is None
    # A budget in per cent is one of what there is to upscale.
    alone = tmp_path / "alone"
    for name in ("a.png", "b.png", "c.png"):
        alone.mkdir(exist_ok=True)
        shutil.copyfile(tmp_path / "in" / name, alone / name)
    single = pipeline.upscale(job(alone, tmp_path / "single", budget="50%"), silent)
    assert (summary.full_flops, summary.spent_flops) == (single.full_flops, single.spent_flops)


@pytest.mark.parametrize(("stage", "number"), [("plan", 1), ("run", 1), ("run", 2)])
def test_a_run_that_was_stopped_goes_on(spec: JobSpec, tmp_path: Path, stage: str, number: int) -> None:
    pipeline.upscale(replace(spec, output=str(tmp_path / "whole")), silent)
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after(stage, number))
    summary = pipeline.upscale(spec, silent)
    found = rows(tmp_path / "out", *COLUMNS)
    assert found == rows(tmp_path / "whole", *COLUMNS)
    assert {path: found[path]["copy_of"] for path in COPIES} == COPIES
    assert summary.duplicates == 2
    with pytest.raises(OutputError, match="dedup was 'yes', is 'no'"):
        pipeline.upscale(replanned(spec, dedup=False), silent)


def test_copies_fail_with_the_first_and_are_tried_again(spec: JobSpec, archive: Path, tmp_path: Path) -> None:
    whole = (archive / "a.png").read_bytes()
    for name in ("a.png", "d/a again.png", "z.png"):
        (archive / name).write_bytes(whole[:-300])
    # With all of the budget, since equal images that are read for themselves may get unequal shares of a part.
    spec = replanned(replace(spec, budget=parse_budget("100%")), limits=replace(spec.plan.limits, images=3))
    assert pipeline.upscale(spec, silent).failed == 3
    found = rows(tmp_path / "out", *COLUMNS)
    assert {found[p]["error"] for p in ("d/a again.png", "z.png")} == {found["a.png"]["error"]}
    assert {found[p]["copy_of"] for p in ("d/a again.png", "z.png")} == {"a.png"}
    # Once they have changed each is read for itself: it is not known whether they are still the same.
    for name in ("a.png", "d/a again.png", "z.png"):
        (archive / name).write_bytes(whole)
    write_png(archive / "z.png", draw(9, 20, 20))
    summary = pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    assert (summary.failed, summary.duplicates) == (0, 1)
    found = rows(tmp_path / "out", *COLUMNS)
    assert found["d/a again.png"]["sha256"] == found["a.png"]["sha256"]
    assert found["z.png"]["width"] == 80
    assert all(found[p]["copy_of"] is None for p in ("a.png", "d/a again.png", "z.png"))


def test_what_failed_for_a_while_stays_a_copy(
    spec: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Source.read

    def reading(source: Source, entry: Entry) -> bytes:
        data = real(source, entry)
        # Planning and running read damaged bytes, looking for copies does not.
        return data[:-300] if entry.path == "b.png" and planning else data

    monkeypatch.setattr(Source, "read", reading)
    planning = False

    def begun() -> bool:
        nonlocal planning
        planning = True
        return False

    assert pipeline.upscale(spec, silent, begun).failed == 2
    assert rows(tmp_path / "out", *COLUMNS)["bb.png"]["copy_of"] == "b.png"
    planning = False
    summary = pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    found = rows(tmp_path / "out", *COLUMNS)
    assert summary.failed == 0
    assert found["bb.png"]["copy_of"] == "b.png"
    assert found["bb.png"]["sha256"] == found["b.png"]["sha256"]
    assert found["bb.png"]["flops"] == 0 < found["b.png"]["flops"]


def test_images_that_come_later_are_looked_at_among_themselves(
    spec: JobSpec, archive: Path, tmp_path: Path
) -> None:
    pipeline.upscale(spec, silent)
    for name in ("later.png", "later too.png"):
        shutil.copyfile(archive / "c.png", archive / name)
    summary = pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    found = rows(tmp_path / "out", *COLUMNS)
    assert (summary.images, summary.duplicates) == (8, 3)
    assert found["later too.png"]["copy_of"] is None
    assert found["later.png"]["copy_of"] == "later too.png"
    assert found["later.png"]["sha256"] == found["c.png"]["sha256"]


def test_rows_of_parquet(archive: Path, tmp_path: Path) -> None:
    paths = ["a.png", "b.png", "c.png", "d/a again.png"]
    images = [{"bytes": (archive / path).read_bytes(), "path": path} for path in paths]
    pq.write_table(pa.table({"image": [*images, None]}), tmp_path / "p.parquet")
    summary = pipeline.upscale(replanned(job(tmp_path / "p.parquet", tmp_path / "out"), dedup=True), silent)
    assert (summary.images, summary.failed, summary.duplicates) == (5, 1, 1)
    assert rows(tmp_path / "out", *COLUMNS)["d/a again.png"]["copy_of"] == "a.png"


def test_a_plan_knows_copies_too(spec: JobSpec, archive: Path, tmp_path: Path) -> None:
    asked = DryRunSpec(
        plan=PlanSpec(input=str(archive), ladder=LADDER, scale=4, executor="inline", workers=1, dedup=True),
        output=str(tmp_path / "plan"),
    )
    forecast = pipeline.plan(asked, silent)
    assert (forecast.images, forecast.duplicates) == (6, 3)
    assert pipeline.plan(asked, silent).duplicates == 3
    with pytest.raises(UsageError, match="dedup was 'yes', is 'no'"):
        pipeline.upscale(replanned(replace(spec, adopt=asked.output), dedup=False), silent)
    summary = pipeline.upscale(replace(spec, adopt=asked.output), silent)
    assert (summary.duplicates, summary.full_flops) == (3, forecast.full_flops.value)
    with pytest.raises(UsageError, match="leave out one"):
        pipeline.plan(
            replanned(replace(asked, output=None), selection=Selection(sample=parse_sample("2"))), silent
        )
