"""A part of an archive: what is meant, what is left out and told of, and how it grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.errors import InputError, OutputError, UsageError
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume
from tests.archives import LADDER, draw, job, replanned, silent, write_png


def paths(output: Path) -> list[str]:
    return sorted(open_dataset(str(output)).to_table(["path"])["path"].to_pylist())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(6):
        write_png(tmp_path / "in" / "ab"[number % 2] / f"{number}.png", draw(number, 8, 8))
    return tmp_path / "in"


def selected(archive: Path, selection: Selection, output: str = "out") -> JobSpec:
    return replanned(job(archive, archive.parent / output, budget="100%"), selection=selection)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(include=("/a/",)), ["a/0.png", "a/2.png", "a/4.png"]),
        (Selection(exclude=("[0-3].png",)), ["a/4.png", "b/5.png"]),
        (Selection(include=("a",), limit=2), ["a/0.png", "a/2.png"]),
    ],
)
def test_only_what_is_selected_is_upscaled(archive: Path, selection: Selection, expected: list[str]) -> None:
    summary = pipeline.upscale(selected(archive, selection), silent)
    assert paths(archive.parent / "out") == expected
    assert summary.waiting == 0
    told = "3 images by --include" if selection.include else "4 images by --exclude"
    assert summary.skipped == (told,)
    again = pipeline.upscale(selected(archive, selection), silent)
    assert msgspec.structs.replace(again, timings=summary.timings, ran=summary.ran) == summary


def test_the_sample_that_is_upscaled_is_the_one_that_was_planned(archive: Path) -> None:
    sample = Selection(sample=parse_sample("3"), seed=5)
    pipeline.upscale(selected(archive, sample), silent)
    (archive / "a" / "0.png").write_bytes(b"broken")
    for path in set(map(str, archive.rglob("*.png"))):
        if str(Path(path).relative_to(archive)) not in paths(archive.parent / "out"):
            Path(path).write_bytes(b"broken")
    forecast = pipeline.plan(
        DryRunSpec(
            plan=PlanSpec(
                input=str(archive), ladder=LADDER, scale=4, executor="inline", workers=1, selection=sample
            )
        ),
        silent,
    )
    assert forecast.images == 6
    assert {path for path, _ in forecast.failures} <= {"a/0.png"}


def test_a_limit_stays_one_when_the_archive_grows(archive: Path) -> None:
    spec = selected(archive, Selection(include=("/b/",), limit=4))
    pipeline.upscale(spec, silent)
    assert paths(archive.parent / "out") == ["b/1.png", "b/3.png", "b/5.png"]
    for number in range(6, 10):
        write_png(archive / "b" / f"{number}.png", draw(number, 8, 8))
        write_png(archive / "a" / f"{number}.png", draw(number, 8, 8))
    assert pipeline.upscale(spec, silent).waiting == 1
    extended = pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    assert paths(archive.parent / "out") == ["b/1.png", "b/3.png", "b/5.png", "b/6.png"]
    assert extended.waiting == 0
    assert pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent).images == 4


def test_another_selection_is_another_run(archive: Path, tmp_path: Path) -> None:
    pipeline.upscale(selected(archive, Selection(limit=2)), silent)
    with pytest.raises(OutputError, match="selection was '--limit 2', is ''"):
        pipeline.upscale(selected(archive, Selection()), silent)
    plan = DryRunSpec(
        plan=PlanSpec(
            input=str(archive),
            ladder=LADDER,
            scale=4,
            executor="inline",
            workers=1,
            selection=Selection(exclude=("a",)),
        ),
        output=str(tmp_path / "plan"),
    )
    pipeline.plan(plan, silent)
    with pytest.raises(UsageError, match="selection was '--exclude a', is ''"):
        pipeline.upscale(replace(selected(archive, Selection(), "new"), adopt=plan.output), silent)
    pipeline.upscale(replace(selected(archive, plan.plan.selection, "new"), adopt=plan.output), silent)
    assert paths(tmp_path / "new") == ["b/1.png", "b/3.png", "b/5.png"]


def test_a_selection_of_nothing_is_refused(archive: Path) -> None:
    with pytest.raises(InputError, match=r"--include '\*.jpg' leaves none of 6 images"):
        pipeline.upscale(selected(archive, Selection(include=("*.jpg",))), silent)
    assert not (archive.parent / "out").exists()
