"""Planning while a cluster starts: the same plans, and whatever becomes of that process, all of them."""

from __future__ import annotations

import io
import pickle
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import ray

from arm_batch import pipeline
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.execution import plan_ahead
from arm_batch.execution.messages import JobContext, ShardSummary
from arm_batch.execution.plan_ahead import PlanAhead, planning_ahead
from arm_batch.execution.planning import plan_shards
from arm_batch.execution.ray import planning
from arm_batch.execution.ray.planning import RayPlanner
from arm_batch.models.ladder_files import load_ladder
from arm_batch.pipeline import cluster
from arm_batch.pipeline.generations import begin_run
from arm_batch.pipeline.job import open_job
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.plan_files import planned
from arm_batch.runstate.shard_plan import Shard
from arm_batch.spec import DryRunSpec, PlanSpec, ShardLimits
from tests.archives import LADDER, job, make_messy_archive, replanned, silent


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy the machine is.
    monkeypatch.setattr(plan_ahead, "WAIT_S", 300.0)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_messy_archive(tmp_path / "in")


def begun(archive: Path, output: Path) -> tuple[JobContext, list[Shard]]:
    """A run of which nothing is planned yet."""
    opened = open_job(job(archive, output, shard_images=2), load_ladder(LADDER))
    return opened.context, list(read_shards(opened.output, begin_run(opened)))


def told(summary: ShardSummary) -> list[object]:
    histogram = summary.histogram
    arrays = (histogram.cells, histogram.tiles, histogram.classes, histogram.images, histogram.pixels)
    return [
        summary.shard,
        *(array.tolist() for array in arrays),
        summary.pixels,
        summary.failures,
        summary.duplicates,
    ]


def test_it_plans_as_this_process_does(archive: Path, tmp_path: Path) -> None:
    context, shards = begun(archive, tmp_path / "ahead")
    with planning_ahead(context, shards) as ahead:
        assert ahead is not None
        found = ahead.summaries()
    assert list(found) == [shard.id for shard in shards]
    assert planned(context.output, 0) == set(range(len(shards)))
    own, _ = begun(archive, tmp_path / "own")
    assert [told(found[shard.id]) for shard in shards] == [told(summary) for summary in plan_shards(own, shards)]
    for shard in shards:
        key = f"plan/g0000/shards/{shard.id.index:06d}.parquet"
        assert context.output.read(key) == own.output.read(key)


def test_for_nothing_no_process_is_started(archive: Path, tmp_path: Path) -> None:
    context, _ = begun(archive, tmp_path / "out")
    with planning_ahead(context, []) as ahead:
        assert ahead is None


def test_an_answer_that_was_cut_off_does_not_count(archive: Path, tmp_path: Path) -> None:
    context, shards = begun(archive, tmp_path / "out")
    answers = [pickle.dumps(summary) for summary in plan_shards(context, shards)]
    first, second = len(answers[0]), len(answers[1])
    for cut in range(second):
        read = plan_ahead._read(io.BytesIO(b"".join(answers)[: first + cut]))
        assert [summary.shard for summary in read] == [shards[0].id]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("done", [0, 1, 3])
def test_what_it_leaves_the_cluster_plans(archive: Path, tmp_path: Path, done: int) -> None:
    context, shards = begun(archive, tmp_path / "out")
    assert len(shards) == 3
    before = {summary.shard: summary for summary in plan_shards(context, shards[:done])}

    class Killed(PlanAhead):
        def __init__(self) -> None:
            self._found = before

    planner = RayPlanner(context, ray.put(context), Killed(), lambda: 1)
    found = [summary.shard for summary in planner.plan(iter(shards), lambda: False)]
    assert Counter(found) == Counter(shard.id for shard in shards)
    assert sorted(s.shard for s in planner.summarize([shard.id for shard in shards])) == [s.id for s in shards]


@pytest.mark.usefixtures("cluster")
def test_few_images_need_no_worker_of_the_cluster_to_be_planned(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if there were none yet.
    monkeypatch.setattr(cluster, "is_connected", lambda: False)
    monkeypatch.setattr(planning, "plan_task", None)
    monkeypatch.setattr(planning, "summarize_task", None)
    summary = pipeline.upscale(job(archive, tmp_path / "out", executor="ray", shard_images=2), silent)
    assert (summary.images, summary.failed) == (6, 3)
    dry = DryRunSpec(
        plan=PlanSpec(input=str(archive), ladder=LADDER, scale=4, executor="ray", limits=ShardLimits(images=2)),
        profiling=False,
    )
    assert len(pipeline.plan(dry, silent).failures) == 3


@pytest.mark.usefixtures("cluster")
def test_nothing_is_planned_before_it_is_known_whether_it_may_be(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(context: JobContext, shards: Sequence[Shard]) -> AbstractContextManager[PlanAhead | None]:
        asked.append(len(shards))
        return planning_ahead(context, shards)

    monkeypatch.setattr(cluster, "is_connected", lambda: False)
    monkeypatch.setattr(cluster, "planning_ahead", counted)
    timed = job(archive, tmp_path / "timed", budget="1gpu-hours", executor="ray", shard_images=2)
    with pytest.raises(BudgetError, match="gpu"):
        pipeline.upscale(timed, silent)
    assert not [path for path in (tmp_path / "timed").rglob("*") if path.is_file()]
    # A plan that is lost after the allocation has to come out as it was.
    spec = job(archive, tmp_path / "out", shard_images=2)
    stages: list[str] = []
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, lambda progress: stages.append(progress.stage), lambda: "run" in stages)
    (tmp_path / "out" / "plan" / "g0000" / "shards" / "000001.parquet").unlink()
    assert pipeline.upscale(replanned(spec, executor="ray"), silent).images == 6
    assert asked == [0, 0]
