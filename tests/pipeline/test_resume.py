"""Going on with a run: what was done stays done, what came later is taken up, what failed can be tried again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.image_options import Writing
from arm_batch.core.progress import Progress
from arm_batch.errors import BudgetError, InputError, OutputError, StoppedError, StoreError
from arm_batch.execution.inline import InlineExecutor
from arm_batch.inputs.sources import Entry, Source
from arm_batch.models.ladder_files import load_ladder
from arm_batch.runstate import shard_writer
from arm_batch.runstate.commit import Commit, committed, create_commit
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import JobSpec, Resume, Sink
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.local import LocalStore
from arm_batch.storage.overlap import AT_ONCE
from tests.archives import LADDER, draw, job, make_archive, make_messy_archive, replanned, silent, write_png
from tests.image_files import by_opencv
from tests.sealed import changed, of_before


def rows(output: Path) -> pa.Table:
    return open_dataset(str(output)).to_table().sort_by("path")


def files(output: Path) -> dict[str, bytes]:
    return {str(p.relative_to(output)): p.read_bytes() for p in output.rglob("*") if p.is_file()}


def stop_after(stage: str, number: int) -> tuple[Callable[[Progress], None], Callable[[], bool]]:
    """A progress callback and a `Stop` that says so once `number` shards are through `stage`."""
    reached = False

    def progress(at: Progress) -> None:
        nonlocal reached
        reached |= at.stage == stage and at.shards_done >= number

    return progress, lambda: reached


def assert_whole(output: Path) -> None:
    """Everything that `arm-batch verify` looks at."""
    store = LocalStore(str(output))
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.left) == ((), 0)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "in")


@pytest.fixture
def spec(archive: Path, tmp_path: Path) -> JobSpec:
    return job(archive, tmp_path / "out", shard_images=2)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the images that were read, in order."""
    paths: list[str] = []
    original = Source.read

    def counted(source: Source, entry: Entry) -> bytes:
        paths.append(entry.path)
        return original(source, entry)

    monkeypatch.setattr(Source, "read", counted)
    return paths


@pytest.mark.parametrize(("stage", "number"), [("plan", 1), ("plan", 3), ("run", 1), ("run", 3)])
def test_a_stopped_run_goes_on_without_doing_anything_twice(
    spec: JobSpec, tmp_path: Path, read: list[str], stage: str, number: int
) -> None:
    whole = pipeline.upscale(replace(spec, output=str(tmp_path / "whole")), silent)
    assert len(read) == 2 * 7
    read.clear()
    with pytest.raises(StoppedError, match="run the same command again"):
        pipeline.upscale(spec, *stop_after(stage, number))
    assert len(read) < 2 * 7
    assert not (tmp_path / "out" / "manifest.json").exists()
    summary = pipeline.upscale(spec, silent)
    # Each image is read once to plan it and once to upscale it, however often the run was started; but for those
    # that were read ahead of the planning that was stopped.
    assert 0 <= len(read) - 2 * 7 <= (AT_ONCE if stage == "plan" else 0)
    assert summary.spent_flops == whole.spent_flops
    assert rows(tmp_path / "out").equals(rows(tmp_path / "whole"))
    assert_whole(tmp_path / "out")


def test_a_finished_run_reads_nothing_and_writes_nothing_new(
    spec: JobSpec, tmp_path: Path, read: list[str]
) -> None:
    pipeline.upscale(spec, silent)
    before = files(tmp_path / "out")
    read.clear()
    pipeline.upscale(spec, silent)
    after = files(tmp_path / "out")
    assert read == []
    # Who had nothing to run leaves no record of an attempt.
    assert {k: v for k, v in after.items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


def test_orphans_go_when_the_run_is_complete(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 2))
    (tmp_path / "out" / "data" / "part-g0000-000003-killed.parquet").write_bytes(b"half")
    pipeline.upscale(spec, silent)
    assert_whole(tmp_path / "out")
    assert not (tmp_path / "out" / "data" / "part-g0000-000003-killed.parquet").exists()


def test_images_of_attempts_that_came_to_nothing_go_too(spec: JobSpec, tmp_path: Path) -> None:
    spec = replace(spec, sink="files")
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    stray = tmp_path / "out" / "staging" / "g0000-000000-killed" / "a.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of an attempt that was killed")
    own = tmp_path / "out" / "images" / "notes.txt"
    own.write_bytes(b"of the user")
    pipeline.upscale(spec, silent)
    assert not stray.exists()
    assert own.exists()
    assert len([p for p in (tmp_path / "out" / "images").rglob("*.*") if p.is_file()]) == 7 + 1
    assert_whole(tmp_path / "out")


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed_at_commit(number: int) -> Iterator[None]:
    """Let a run die where it is about to commit its shard of this number, from 1."""
    calls = 0

    def dying(store: ObjectStore, commit: Commit) -> Commit:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Killed
        return create_commit(store, commit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writer, "create_commit", dying)
        yield
    assert calls == number


def images(output: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(output).items() if name.startswith("images/")}


def test_a_budget_raised_after_a_kill_is_in_the_pixels_too(spec: JobSpec, tmp_path: Path) -> None:
    small = replace(spec, sink="files", budget=parse_budget("5%"))
    whole = replace(small, output=str(tmp_path / "whole"))
    for each in (small, whole):
        with pytest.raises(StoppedError):
            pipeline.upscale(each, *stop_after("run", 1))
    with killed_at_commit(1), pytest.raises(Killed):
        pipeline.upscale(small, silent)
    for each in (small, whole):
        pipeline.upscale(replace(each, resume=Resume(add_budget=parse_budget("90%"))), silent)
    assert images(tmp_path / "out") == images(tmp_path / "whole")
    assert rows(tmp_path / "out").drop("notes").equals(rows(tmp_path / "whole").drop("notes"))
    assert_whole(tmp_path / "out")


def test_a_source_replaced_after_a_kill_is_in_the_pixels_too(spec: JobSpec, tmp_path: Path) -> None:
    spec = replace(spec, sink="files")
    with killed_at_commit(1), pytest.raises(Killed):
        pipeline.upscale(spec, silent)
    height, width = by_opencv((tmp_path / "in" / "a.png").read_bytes()).shape[:2]
    write_png(tmp_path / "in" / "a.png", draw(99, height, width))
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    anew = replace(spec, output=str(tmp_path / "anew"), budget=parse_budget("100%"))
    pipeline.upscale(anew, silent)
    (row,) = rows(tmp_path / "out").filter(pa.compute.field("path") == "a.png").to_pylist()
    assert row["status"] == "ok"
    got, new = (
        by_opencv((tmp_path / out / "images" / "a.png").read_bytes()).astype(float) for out in ("out", "anew")
    )
    assert np.abs(got - new).mean() < 10
    assert_whole(tmp_path / "out")


def test_a_commit_whose_images_wait_counts_and_they_are_moved(spec: JobSpec, tmp_path: Path) -> None:
    spec, output = replace(spec, sink="files"), tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writer, "publish", lambda _store, _commit: None)
        with pytest.raises(StoppedError):
            pipeline.upscale(spec, *stop_after("run", 1))
    store = LocalStore(str(output))
    assert (verify_store(store, list_generations(store)).problems, images(output)) == ((), {})
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, silent, lambda: True)
    assert len(images(output)) == 2
    pipeline.upscale(spec, silent)
    assert_whole(output)


def test_input_that_changed_after_the_plan_is_a_failed_row(spec: JobSpec, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    write_png(archive / "sixteen.png", draw(77, 45, 70))
    (archive / "grey.png").unlink()
    summary = pipeline.upscale(spec, silent)
    assert summary.failed == 2
    errors = {row["path"]: row["error"] for row in rows(tmp_path / "out").to_pylist() if row["error"]}
    assert errors == {
        "grey.png": "is gone or changed since it was listed",
        "sixteen.png": "changed since it was listed",
    }
    assert_whole(tmp_path / "out")


def test_input_that_is_gone_while_there_is_work_left_is_refused(
    spec: JobSpec, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    archive.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="does not exist"):
        pipeline.upscale(spec, silent)
    (tmp_path / "elsewhere").rename(archive)
    assert pipeline.upscale(spec, silent).failed == 0


def test_new_images_are_reported_and_taken_up_when_asked(
    spec: JobSpec, archive: Path, tmp_path: Path, read: list[str]
) -> None:
    first = pipeline.upscale(spec, silent)
    write_png(archive / "late.png", draw(20, 50, 50))
    # Would get the name that a.png has taken.
    (archive / "a.bmp").write_bytes((archive / "a.png").read_bytes())
    read.clear()
    waiting = pipeline.upscale(spec, silent)
    assert (waiting.waiting, waiting.images, read) == (2, 7, [])
    extend = replace(
        spec, budget=job(archive, "x", budget="90%").budget, resume=Resume(extend=True), sink="parquet"
    )
    summary = pipeline.upscale(extend, silent)
    assert (summary.waiting, summary.images, summary.failed) == (0, 9, 0)
    assert set(read) == {"late.png", "a.bmp"}
    assert summary.budget == "50% + 90%"
    assert first.spent_flops < summary.spent_flops <= summary.budget_flops
    outputs = [row["image"]["path"] for row in rows(tmp_path / "out").to_pylist()]
    assert len(set(outputs)) == 9
    assert [g.kind for g in list_generations(LocalStore(str(tmp_path / "out")))] == ["initial", "extend"]
    assert_whole(tmp_path / "out")
    again = pipeline.upscale(extend, silent)
    assert msgspec.structs.replace(again, timings=summary.timings, ran=summary.ran) == summary


def test_an_extension_that_no_plan_meets_leaves_the_run_as_it_was(
    spec: JobSpec, archive: Path, tmp_path: Path
) -> None:
    pipeline.upscale(spec, silent)
    write_png(archive / "late.png", draw(20, 500, 500))
    before = files(tmp_path / "out")
    for budget in ("1FLOP", "100MFLOP"):
        with pytest.raises(BudgetError, match="interpolation alone needs"):
            pipeline.upscale(
                replace(spec, budget=job(archive, "x", budget=budget).budget, resume=Resume(extend=True)), silent
            )
    left = files(tmp_path / "out")
    left.pop("manifest.json", None)
    before.pop("manifest.json")
    assert left == before
    assert pipeline.upscale(spec, silent).waiting == 1
    assert_whole(tmp_path / "out")


@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
# The second is more than everything costs, so that something is left for what is tried again.
@pytest.mark.parametrize("budget", ["50%", "14GFLOP"])
def test_failed_images_are_tried_again_when_asked(tmp_path: Path, sink: Sink, budget: str) -> None:
    archive = make_messy_archive(tmp_path / "in")
    spec = replace(job(archive, tmp_path / "out", budget=budget, shard_images=2), sink=sink)
    first = pipeline.upscale(spec, silent)
    assert (first.images, first.failed) == (6, 3)
    write_png(archive / "corrupt.png", draw(3, 40, 40))
    assert pipeline.upscale(spec, silent).failed == 3
    retry = replace(spec, resume=Resume(retry_failed=True))
    second = pipeline.upscale(retry, silent)
    assert (second.images, second.failed) == (6, 2)
    assert first.spent_flops < second.spent_flops <= second.budget_flops
    found = {row["path"]: row for row in rows(tmp_path / "out").to_pylist()}
    assert len(found) == rows(tmp_path / "out").num_rows == 6
    assert found["corrupt.png"]["status"] == "ok"
    assert_whole(tmp_path / "out")
    write_png(archive / "empty.png", draw(4, 40, 40))
    third = pipeline.upscale(retry, silent)
    assert (third.images, third.failed) == (6, 1)
    assert_whole(tmp_path / "out")
    # What is plainly in data/ is what counts.
    plain = pa.concat_tables([pa.parquet.read_table(p) for p in sorted((tmp_path / "out/data").iterdir())])
    assert (
        plain.sort_by("path").select(["path", "status"]).equals(rows(tmp_path / "out").select(["path", "status"]))
    )


def test_nothing_failed_nothing_retried(spec: JobSpec, tmp_path: Path) -> None:
    pipeline.upscale(spec, silent)
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    assert len(list_generations(LocalStore(str(tmp_path / "out")))) == 1


def test_what_changed_images_give_back_buys_upgrades_for_others(tmp_path: Path) -> None:
    archive = tmp_path / "in"
    for seed in range(16):
        write_png(archive / f"{seed:02d}.png", draw(seed, 60, 90))
    spec = job(archive, tmp_path / "out", shard_images=1)
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("plan", 16))
    for seed in range(3):
        write_png(archive / f"{seed:02d}.png", draw(99, 60, 90))
    summary = pipeline.upscale(spec, silent)
    assert summary.failed == 3
    largest_step = int(np.diff(load_ladder(LADDER).ladder.costs).max())
    assert summary.budget_flops - largest_step < summary.spent_flops <= summary.budget_flops
    assert_whole(tmp_path / "out")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_resume_on_another_cluster_gives_the_bytes_of_that_which_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    def run(name: str, at_once: int, then_at_once: int) -> pa.Table:
        """Two images change after planning, and the run is broken off in its second wave."""
        archive, output = tmp_path / name / "in", tmp_path / name / "out"
        for seed in range(16):
            write_png(archive / f"{seed:02d}.png", draw(seed, 60, 90))
        spec = job(archive, output, shard_images=1)
        monkeypatch.setattr(InlineExecutor, "at_once", lambda _: at_once)
        with pytest.raises(StoppedError):
            pipeline.upscale(spec, *stop_after("plan", 16))
        for seed in range(2):
            write_png(archive / f"{seed:02d}.png", draw(99, 60, 90))
        if not recorded:
            # As in outputs that were begun before waves were written down.
            allocation = output / "plan" / "g0000" / "allocation.json"
            document = json.loads(of_before(allocation.read_bytes()))
            del document["waves"]
            allocation.write_text(json.dumps(document))
        with pytest.raises(StoppedError):
            pipeline.upscale(spec, *stop_after("run", 6))
        monkeypatch.setattr(InlineExecutor, "at_once", lambda _: then_at_once)
        assert pipeline.upscale(spec, silent).failed == 2
        assert_whole(output)
        return rows(output).drop(["source_etag"])

    # Then waves were of four shards here, wherever they ran.
    same, other = run("same", 5, 5) if recorded else run("same", 4, 4), run("other", 5, 1)
    assert same["flops"].to_pylist() == other["flops"].to_pylist()
    assert same.equals(other)


def test_an_added_budget_goes_to_what_is_left(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no run whose budget"):
        pipeline.upscale(replace(spec, resume=Resume(add_budget=spec.budget)), silent)
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    done = rows(tmp_path / "out")
    summary = pipeline.upscale(replace(spec, resume=Resume(add_budget=job("a", "b", budget="30%").budget)), silent)
    assert summary.budget_flops == pytest.approx(0.8 * summary.full_flops, abs=2)
    assert 0.5 * summary.full_flops < summary.spent_flops <= summary.budget_flops
    after = rows(tmp_path / "out")
    assert after.filter(pa.compute.is_in(after["path"], done["path"].combine_chunks())).equals(done)
    assert_whole(tmp_path / "out")
    with pytest.raises(BudgetError, match="every image is done"):
        pipeline.upscale(replace(spec, resume=Resume(add_budget=spec.budget)), silent)


def test_other_settings_are_refused_naming_each_difference(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after("run", 1))
    before = files(tmp_path / "out")
    other = replanned(replace(spec, budget=job("a", "b", budget="60%").budget), writing=Writing("jpeg", 80))
    with pytest.raises(OutputError) as caught:
        pipeline.upscale(other, silent)
    for told in ("budget was '50%', is '60%'", "format was 'auto', is 'jpeg'", "quality was '95', is '80'"):
        assert told in str(caught.value)
    assert files(tmp_path / "out") == before


def flip(path: Path, bits: int = 1) -> None:
    """Flip so many bits, one a byte, in the middle of a file."""
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 2, len(data) // 2 + bits):
        data[position] ^= 1
    path.write_bytes(bytes(data))


def part_of(output: Path, shard: int) -> Path:
    commit = list(committed(LocalStore(str(output))).values())[shard]
    assert commit.done is not None
    return output / commit.done.key


DAMAGES: dict[str, Callable[[Path], Path]] = {
    "a bit of a part": lambda out: part_of(out, 1),
    "a part deleted": lambda out: part_of(out, 2),
    "a record truncated": lambda out: out / "commits" / "g0000" / "000001.json",
    "a record of another shard": lambda out: out / "commits" / "g0000" / "000002.json",
    "bits of a plan": lambda out: out / "plan" / "g0000" / "shards" / "000000.parquet",
    "a plan deleted": lambda out: out / "plan" / "g0000" / "shards" / "000003.parquet",
    "the manifest": lambda out: out / "manifest.json",
    "an image": lambda out: out / "images" / "a.png",
    "an image deleted": lambda out: out / "images" / "deep" / "c.png",
    "a bit of a tar": lambda out: sorted((out / "tars").iterdir())[1],
    "a tar deleted": lambda out: sorted((out / "tars").iterdir())[0],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_named_and_repaired(spec: JobSpec, tmp_path: Path, damage: str) -> None:
    output = tmp_path / "out"
    sink: Sink = "files" if "image" in damage else "webdataset" if "tar" in damage.split() else "parquet"
    spec = replace(spec, sink=sink)
    first = pipeline.upscale(spec, silent)
    whole = rows(output)
    path = DAMAGES[damage](output)
    if "deleted" in damage:
        path.unlink()
    elif "truncated" in damage or "manifest" in damage:
        path.write_bytes(path.read_bytes()[:20])
    elif "another" in damage:
        path.write_bytes((path.parent / "000000.json").read_bytes())
    elif damage == "bits of a plan":
        flip(path, bits=100)
    else:
        flip(path)
    store = LocalStore(str(output))
    found = verify_store(store, list_generations(store))
    assert [p for p in found.problems if p.key == str(path.relative_to(output))]
    summary = pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert len(summary.repaired) == len(found.problems)
    assert summary.spent_flops == first.spent_flops
    again = rows(output)
    if sink == "webdataset":
        # The tar of another attempt has another name.
        whole, again = whole.drop("image"), again.drop("image")
    assert again.equals(whole)
    assert_whole(output)


def test_a_repaired_shard_leaves_retried_images_to_their_retry(tmp_path: Path) -> None:
    archive = make_messy_archive(tmp_path / "in")
    spec = job(archive, tmp_path / "out")
    pipeline.upscale(spec, silent)
    write_png(archive / "corrupt.png", draw(3, 40, 40))
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    whole = rows(tmp_path / "out")
    flip(part_of(tmp_path / "out", 0))
    pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert rows(tmp_path / "out").equals(whole)
    assert_whole(tmp_path / "out")


def test_a_repair_leaves_what_a_retry_has_made(tmp_path: Path) -> None:
    archive, output = make_messy_archive(tmp_path / "in"), tmp_path / "out"
    spec = replace(job(archive, output), sink="files")
    pipeline.upscale(spec, silent)
    write_png(archive / "corrupt.png", draw(3, 40, 40))
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    whole = images(output)
    assert "images/corrupt.png" in whole
    flip(output / min(whole.keys() - {"images/corrupt.png"}))
    pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert images(output) == whole
    assert_whole(output)


def test_the_plan_of_a_shard_with_a_retry_is_made_again(tmp_path: Path) -> None:
    archive, output = make_messy_archive(tmp_path / "in"), tmp_path / "out"
    spec = replace(job(archive, output), sink="files")
    pipeline.upscale(spec, silent)
    write_png(archive / "corrupt.png", draw(3, 40, 40))
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    whole = rows(output)
    for damaged in ("plan/g0000/shards/000000.parquet", "data/" + part_of(output, 0).name):
        flip(output / damaged, bits=100)
    pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert rows(output).equals(whole)
    assert_whole(output)


def test_a_lost_plan_takes_no_rows_along(spec: JobSpec, tmp_path: Path) -> None:
    output = tmp_path / "out"
    pipeline.upscale(spec, silent)
    whole = rows(output)
    (output / "plan" / "g0000" / "shards" / "000000.parquet").unlink()
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(OutputError, match=r"000000\.parquet is missing.* it stays: a\.png is gone"):
        pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert rows(output).equals(whole)
    pipeline.upscale(spec, silent)
    assert rows(output).equals(whole)


def test_a_repair_does_not_lose_images_whose_sources_are_gone(spec: JobSpec, tmp_path: Path) -> None:
    spec, output = replace(spec, sink="files"), tmp_path / "out"
    pipeline.upscale(spec, silent)
    whole, kept = rows(output), images(output)
    shards = {name: part for part in range(4) for name in pq.read_table(part_of(output, part))["path"].to_pylist()}
    first, second = (name for name in sorted(shards) if shards[name] == shards["a.png"])
    elsewhere = next(name for name in sorted(shards) if shards[name] != shards["a.png"])
    (tmp_path / "in" / first).unlink()
    for damaged in (second, elsewhere):
        flip(output / "images" / damaged)
    with pytest.raises(OutputError, match=f"{second}.* it stays: {first} is gone"):
        pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
    assert rows(output).equals(whole)
    assert {name for name, data in images(output).items() if data != kept[name]} == {f"images/{second}"}


@pytest.mark.parametrize("what", ["the record", "all of its plan"])
def test_a_hole_among_generations_cannot_be_repaired(tmp_path: Path, what: str) -> None:
    archive, output = make_messy_archive(tmp_path / "in"), tmp_path / "out"
    spec = job(archive, output)
    pipeline.upscale(spec, silent)
    for number in (1, 2):
        write_png(archive / f"new-{number}.png", draw(number, 30, 30))
        pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    if what == "the record":
        (output / "plan" / "g0001" / "generation.json").unlink()
    else:
        shutil.rmtree(output / "plan" / "g0001")
    before = files(output)
    for resume in (Resume(repair=True), Resume(), Resume(retry_failed=True)):
        with pytest.raises(StoreError, match=r"plan/g0001/generation\.json is missing"):
            pipeline.upscale(replace(spec, resume=resume), silent)
    assert files(output) == before


def test_what_nothing_else_holds_cannot_be_repaired(spec: JobSpec, tmp_path: Path) -> None:
    pipeline.upscale(spec, silent)
    allocation = tmp_path / "out" / "plan" / "g0000" / "allocation.json"
    spend = json.loads(allocation.read_text())["spend"]
    allocation.write_bytes(changed(allocation.read_bytes(), spend=spend + 1))
    with pytest.raises(OutputError, match=r"cannot be repaired.*allocation\.json"):
        pipeline.upscale(replace(spec, resume=Resume(repair=True)), silent)
