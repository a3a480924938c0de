"""One suite over both executors: the in-process one is the reference, Ray must give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import ray

from arm_batch import open_dataset, pipeline
from arm_batch.budget.protocol import GenerationBudget
from arm_batch.core.progress import Progress
from arm_batch.core.selection.sample import parse_sample
from arm_batch.core.selection.selection import Selection
from arm_batch.core.stop import Stop
from arm_batch.errors import BudgetError
from arm_batch.execution.inline import InlineExecutor
from arm_batch.execution.messages import Partly, ShardSummary
from arm_batch.execution.ray.actor_pool import ActorPool
from arm_batch.execution.ray.named_actor import NAMESPACE
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.spec import DryRunSpec, ExecutorName, PlanSpec, ShardLimits
from tests.archives import LADDER, job, make_archive, make_messy_archive, replanned, silent


def rows(output: Path) -> pa.Table:
    return open_dataset(str(output)).to_table().sort_by("path")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def reference(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    output = tmp_path_factory.mktemp("reference") / "out"
    pipeline.upscale(job(archive, output, shard_images=2), silent)
    return rows(output)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_ray_gives_the_bytes_of_the_reference(
    archive: Path, reference: pa.Table, tmp_path: Path, workers: int
) -> None:
    summary = pipeline.upscale(
        job(archive, tmp_path / "out", executor="ray", workers=workers, shard_images=2), silent
    )
    assert summary.failed == 0
    assert rows(tmp_path / "out").equals(reference)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("sample", [None, "4"])
def test_ray_plans_as_the_reference_does_and_starts_no_actor(
    archive: Path, tmp_path: Path, sample: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DryRunSpec(
        plan=PlanSpec(
            input=str(archive),
            ladder=LADDER,
            scale=4,
            selection=Selection(sample=None if sample is None else parse_sample(sample)),
            executor="inline",
            workers=1,
            limits=ShardLimits(images=2),
        ),
        output=None if sample else str(tmp_path / "plan"),
        profiling=False,
    )
    reference = pipeline.plan(replace(spec, output=None), silent)
    with monkeypatch.context() as patch:
        patch.setattr(ActorPool, "_start", lambda *_: pytest.fail("no actor is needed"))
        forecast = pipeline.plan(replanned(spec, executor="ray"), silent)
    assert replace(forecast, plan=None) == reference
    if sample is None:
        run = replace(job(archive, tmp_path / "out", executor="ray"), adopt=spec.output)
        assert pipeline.upscale(run, silent).failed == 0


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("keep", [False, True])
def test_a_dry_run_on_ray_measures_its_actors(
    archive: Path, tmp_path: Path, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = str(tmp_path / "plan") if keep else None
    spec = DryRunSpec(
        plan=PlanSpec(input=str(archive), ladder=LADDER, scale=4, executor="ray", limits=ShardLimits(images=2)),
        output=output,
    )
    forecast = pipeline.plan(spec, silent)
    assert forecast.devices == {"cpu": 2}
    times = [point.pool_seconds["cpu"] for point in forecast.curve]
    # What no net runs for takes time too.
    assert 0 < times[0] < times[-1]


def test_shards_in_reverse_give_the_same_rows(
    archive: Path, reference: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Backwards(InlineExecutor):
        def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
            return super().plan(list(shards)[::-1], stop)

        def run(
            self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop
        ) -> Iterator[Commit | Partly]:
            return super().run(shards[::-1], budget, stop)

    monkeypatch.setattr("arm_batch.pipeline.executors.InlineExecutor", Backwards)
    pipeline.upscale(job(archive, tmp_path / "out", shard_images=2), silent)
    assert rows(tmp_path / "out").equals(reference)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_messy_archive_gives_one_row_per_file(tmp_path: Path, executor: ExecutorName) -> None:
    archive = make_messy_archive(tmp_path / "in")
    summary = pipeline.upscale(job(archive, tmp_path / "out", executor=executor, shard_images=2), silent)
    assert (summary.images, summary.failed) == (6, 3)
    found = {row["path"]: row for row in rows(tmp_path / "out").to_pylist()}
    assert {path: row["status"] for path, row in found.items()} == {
        "corrupt.png": "failed",
        "empty.png": "failed",
        "good.png": "ok",
        "speck.png": "ok",
        "strip.png": "ok",
        "text.jpg": "failed",
    }
    assert all(row["error"] for row in found.values() if row["status"] == "failed")
    assert (found["speck.png"]["width"], found["speck.png"]["height"]) == (4, 4)
    assert (found["strip.png"]["width"], found["strip.png"]["height"]) == (20000, 12)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_an_image_that_changes_after_planning_fails_alone_and_its_flops_stay_unspent(
    tmp_path: Path, executor: ExecutorName
) -> None:
    archive = make_archive(tmp_path / "in")

    def spoil(progress: Progress) -> None:
        if progress.stage == "plan" and progress.shards_done == progress.shards:
            (archive / "a.png").write_bytes(b"overwritten")

    summary = pipeline.upscale(job(archive, tmp_path / "out", executor=executor, shard_images=2), spoil)
    failed = [row for row in rows(tmp_path / "out").to_pylist() if row["status"] == "failed"]
    assert [(row["path"], row["error"]) for row in failed] == [("a.png", "changed since it was listed")]
    assert summary.spent_flops == sum(row["flops"] for row in rows(tmp_path / "out").to_pylist())
    assert summary.spent_flops < summary.budget_flops


@pytest.mark.usefixtures("cluster")
def test_errors_of_the_budget_actor_arrive_as_themselves(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="interpolation alone needs"):
        pipeline.upscale(job(archive, tmp_path / "out", budget="1FLOP", executor="ray", shard_images=2), silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("cluster")
def test_the_budget_actor_is_named_by_the_run_and_gone_afterwards(archive: Path, tmp_path: Path) -> None:
    seen = []

    def look(progress: Progress) -> None:
        if progress.stage == "run" and progress.shards_done == 1:
            seen.extend(ray.util.list_named_actors(all_namespaces=True))

    summary = pipeline.upscale(job(archive, tmp_path / "out", executor="ray", shard_images=2), look)
    name = {"name": f"budget-{summary.run_id}-g0000", "namespace": NAMESPACE}
    assert name in seen
    assert name not in ray.util.list_named_actors(all_namespaces=True)
