"""The executor without a cluster: this process and helpers of it, one for each core.

With one worker everything happens in the calling thread, one after the other: the reference.
"""

from __future__ import annotations

import platform
import statistics
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from arm_batch.budget.protocol import GenerationBudget, Quota
from arm_batch.budget.quota import SharedQuota
from arm_batch.core.allocation.apportion import ShardAllocation
from arm_batch.core.allocation.deadline import CPU, ClusterProfile
from arm_batch.core.allocation.lp import Pool
from arm_batch.core.attempts import Node
from arm_batch.core.progress import Done, Progress
from arm_batch.core.stop import Stop, never
from arm_batch.execution.batches import assign_images
from arm_batch.execution.cores import usable_cores
from arm_batch.execution.crew import Crew, Grace
from arm_batch.execution.helpers import Helpers
from arm_batch.execution.messages import JobContext, Partly, ShardSummary
from arm_batch.execution.planning import plan_shards, plan_with, planned_summary
from arm_batch.execution.profiling import Sampled, per_megapixel, sample_shards, speed_key
from arm_batch.execution.speed_cache import cache_file, recall, remember
from arm_batch.execution.stages import commit_shard
from arm_batch.execution.units import cut_units
from arm_batch.execution.work import MeasureHost, MeasureTiles, PlanImages, UpscaleImages, Work
from arm_batch.inputs.sources import Entry
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.throughput import hardware
from arm_batch.runstate.commit import Commit
from arm_batch.runstate.plan_files import read_plan
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan
from arm_batch.storage.base import ObjectStore

SAMPLES = 4
"""Shards that the work beside the nets is measured on."""

PLAN_IMAGES = 8
"""Images planned by one call: read at once, and few enough to divide a small archive."""

_BYTES_PER_BYTE = 16
"""Of memory while an image is planned, for each of its file; a JPEG of 2 MiB has 30 MB of pixels."""

GRACE_S = 4.0
"""What shards that are under way get to finish in after a stop."""


class InlineExecutor:
    """Runs everything in this process and in helpers that it starts.

    Args:
        context: of the run.
        files: the ladder.
        workers: how many processes work, this one included.
        helpers: where those that help are, and go on to be.
    """

    def __init__(self, context: JobContext, files: LadderFiles, workers: int, helpers: Helpers) -> None:
        self._context = context
        self._n_subnets = len(files.nets)
        self._crew = Crew(Work(context, files), helpers, workers)

    def host(self, budget: GenerationBudget, name: str) -> GenerationBudget:
        """The budget itself: it lives here; `name` is not needed."""
        del name
        return budget

    def quota(self, store: ObjectStore) -> Quota:
        """The quota, in this process; others share it through its journal."""
        return SharedQuota(store)

    def summarize(self, shards: Sequence[ShardId]) -> Iterator[ShardSummary]:
        """Read kept plans in order."""
        for shard in shards:
            yield planned_summary(self._context, shard)

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Plan the shards, a few images at a time on each core; with one worker in order."""
        if self._crew.size == 1:
            yield from plan_shards(self._context, shards, stop)
            return
        begun: dict[ShardId, _Planning] = {}
        for call, plans in self._crew.run(_plan_calls(shards, stop, begun), stop):
            planning = begun[call.shard]
            planning.take(call, plans)
            if planning.is_complete:
                del begun[call.shard]
                yield plan_with(self._context, planning.shard, planning.plan_of)

    def held(self) -> dict[str, int]:
        """A core for each worker."""
        return {CPU: self._crew.size}

    def workers(self) -> dict[str, int]:
        """The processes."""
        return self.held()

    def nodes(self) -> tuple[Node, ...]:
        """This machine, with the cores that this process may use."""
        return (Node(platform.node(), usable_cores(), 0, None),)

    def watch(self, progress: Progress, /) -> None:
        """Nobody watches this process but its caller, who knows."""

    def at_once(self) -> int:
        """Two for each worker, so that none waits for the last images of a shard; with one worker one."""
        return 1 if self._crew.size == 1 else 2 * self._crew.size

    def profile(self, shards: Sequence[Sampled]) -> ClusterProfile:
        """Measure all workers at once, unless they were measured lately."""
        ladder, workers = self._context.ladder, self._crew.size
        key, path = speed_key(CPU, hardware("cpu", self._context.engine), workers, ladder), cache_file()
        seconds = recall(path, key, self._n_subnets)
        if seconds is None:
            self._crew.settle()
            told = self._crew.run(iter([MeasureTiles()] * workers), never)
            # Tiles go to whoever is free: the mean is that of speeds.
            seconds = [statistics.harmonic_mean(each) for each in zip(*(each for _, each in told), strict=True)]
            remember(path, {key: seconds})
        calls = [MeasureHost(shard) for shard in sample_shards(shards, SAMPLES * workers)]
        samples = [sample for _, sample in self._crew.run(iter(calls), never)]
        pool = Pool(kind=CPU, devices=workers, seconds=np.array(seconds))
        return ClusterProfile((pool,), workers, per_megapixel(samples))

    def run(self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop) -> Iterator[Commit | Partly]:
        """Run the shards, begun in order, a few images at a time on each core."""
        begun: dict[ShardId, _Running] = {}
        calls = self._unit_calls(shards, budget, stop, begun)
        for call, records in self._crew.run(calls, Grace(stop, GRACE_S).over):
            running = begun[call.plan.id]
            running.take(call, records)
            if running.is_complete:
                yield self._commit(begun.pop(call.plan.id), budget)
            else:
                yield Partly(call.plan.id, running.through())
        for shard in begun:
            budget.release(shard.index)

    def close(self) -> None:
        """End the helpers, and what is still under way."""
        self._crew.end()

    def _unit_calls(
        self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop, begun: dict[ShardId, _Running]
    ) -> Iterator[UpscaleImages | None]:
        """The units of one shard after the other, until the work is to end; None where a wave waits."""
        for shard in shards:
            if stop():
                return
            while (share := budget.begin(shard.index)) is None:
                yield None
            plan = read_plan(self._context.output, shard)
            units = list(cut_units(self._context, plan, assign_images(self._context, plan, share)))
            begun[shard] = _Running(plan, share, len(units))
            yield from units

    def _commit(self, running: _Running, budget: GenerationBudget) -> Commit:
        plan, revision = running.plan, running.share.revision
        commit = commit_shard(self._context, plan, running.records(), uuid.uuid4().hex, revision)
        budget.settle(plan.id.index, commit.flops)
        return commit


@dataclass
class _Planning:
    """A shard that is being planned, and the plans of its images as far as they are there, by path."""

    shard: Shard
    found: dict[str, ImagePlan] = field(default_factory=dict)

    def take(self, call: PlanImages, plans: Sequence[ImagePlan]) -> None:
        """Take what came of a call."""
        self.found.update(zip((entry.path for entry in call.entries), plans, strict=True))

    def plan_of(self, entry: Entry, output: str) -> ImagePlan:
        """That of one image."""
        del output
        return self.found[entry.path]

    @property
    def is_complete(self) -> bool:
        """Whether all are there."""
        return len(self.found) == sum(entry.copy_of is None for entry in self.shard.entries)


@dataclass
class _Running:
    """A shard that is being upscaled, and the rows of its units as far as they are there, by position."""

    plan: ShardPlan
    share: ShardAllocation
    units: int
    done: dict[int, list[ImageRecord]] = field(default_factory=dict)

    def take(self, call: UpscaleImages, records: list[ImageRecord]) -> None:
        """Take what came of a unit."""
        self.done[call.position] = records

    @property
    def is_complete(self) -> bool:
        """Whether all are there."""
        return len(self.done) == self.units

    def through(self) -> Done:
        """What is there."""
        rows = [record for each in self.done.values() for record in each]
        return Done(
            images=len(rows),
            failed=sum(row.status == "failed" for row in rows),
            tiles=sum(row.tiles for row in rows),
            flops=sum(row.flops for row in rows),
        )

    def records(self) -> list[ImageRecord]:
        """All rows, in plan order."""
        return [record for position in sorted(self.done) for record in self.done[position]]


def _plan_calls(shards: Iterable[Shard], stop: Stop, begun: dict[ShardId, _Planning]) -> Iterator[PlanImages]:
    """The images of one shard after the other that are no copies."""
    for shard in shards:
        if stop():
            return
        begun[shard.id] = _Planning(shard)
        images = [pair for pair in zip(shard.entries, shard.outputs, strict=True) if pair[0].copy_of is None]
        for start in range(0, len(images), PLAN_IMAGES):
            entries, outputs = zip(*images[start : start + PLAN_IMAGES], strict=True)
            weight = _BYTES_PER_BYTE * sum(max(entry.size, 0) for entry in entries)
            yield PlanImages(shard=shard.id, entries=entries, outputs=outputs, weight=weight)
