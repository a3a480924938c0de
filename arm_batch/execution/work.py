"""What a process that works holds, and what it is called to do: the same in this process and in its helpers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arm_batch.core.arrays import Indices
from arm_batch.core.stop import never
from arm_batch.core.tiling.grid import Upscaled, Windows
from arm_batch.errors import StoppedError
from arm_batch.execution.messages import JobContext
from arm_batch.execution.planning import plan_opened
from arm_batch.execution.profiling import HostSample, Sampled, measure_host_overhead
from arm_batch.execution.stages import upscale_images
from arm_batch.inputs.sources import Entry
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.throughput import measure_tiles
from arm_batch.runstate.rows import ImageRecord
from arm_batch.runstate.shard_plan import ImagePlan, ShardId, ShardPlan


class Work:
    """What calls are given.

    Args:
        context: of the run.
        files: the ladder.
    """

    def __init__(self, context: JobContext, files: LadderFiles) -> None:
        self.context = context
        self.files = files
        self.given_up = False
        self._upscaler: Upscaler | None = None

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        """See `Upscaler.run`.

        Raises:
            StoppedError: the work is given up.
        """
        if self.given_up:
            raise StoppedError("given up")
        if self._upscaler is None:
            ladder = self.files.ladder
            # By the thread that runs it, as torch keeps its number of threads by thread.
            self._upscaler = Upscaler(
                self.files.nets, ladder.grid, ladder.scale, "cpu", engine=self.context.engine
            )
        return self._upscaler.run(subnet, pieces)


@dataclass(frozen=True)
class Setup:
    """Makes what calls are given in a helper."""

    context: JobContext
    files: LadderFiles

    def __call__(self) -> Work:
        """It."""
        return Work(self.context, self.files)


@dataclass(frozen=True, kw_only=True)
class PlanImages:
    """Plan images of a shard.

    Attributes:
        shard: which.
        entries: of the images; no copies.
        outputs: their output paths.
        weight: bytes of memory that it may take.
    """

    shard: ShardId
    entries: tuple[Entry, ...]
    outputs: tuple[str, ...]
    weight: int

    @property
    def told(self) -> str:
        """What it is about."""
        return _told([entry.path for entry in self.entries])

    def __call__(self, work: Work) -> list[ImagePlan]:
        """Their plans."""
        context = work.context
        opened = context.source.opened(self.entries, never)
        images = zip(self.entries, self.outputs, opened, strict=True)
        return [plan_opened(context, entry, output, open_it) for entry, output, open_it in images]


@dataclass(frozen=True, kw_only=True)
class UpscaleImages:
    """Upscale images of a shard, from reading to encoding.

    Attributes:
        plan: the shard with these images alone.
        assigned: the subnet of each tile of each of them.
        position: of the first in the shard.
        weight: bytes of memory that it may take.
    """

    plan: ShardPlan
    assigned: tuple[Indices, ...]
    position: int
    weight: int

    @property
    def told(self) -> str:
        """What it is about."""
        return _told([image.entry.path for image in self.plan.images])

    def __call__(self, work: Work) -> list[ImageRecord]:
        """The rows of those that are no copies."""
        return upscale_images(work.context, self.plan, self.assigned, work.run)


@dataclass(frozen=True)
class MeasureTiles:
    """Measure the nets, see `measure_tiles`."""

    weight = 0
    told = "measuring the nets"

    def __call__(self, work: Work) -> list[float]:
        """Seconds per tile of each subnet."""
        return measure_tiles(work.run, work.files.nets, work.files.ladder.grid, "cpu")


@dataclass(frozen=True)
class MeasureHost:
    """Measure the work beside the nets, see `measure_host_overhead`."""

    shard: Sampled
    weight = 0
    told = "measuring the work beside the nets"

    def __call__(self, work: Work) -> HostSample:
        """Seconds and LR pixels."""
        return measure_host_overhead(work.context, self.shard)


def _told(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1]}"
