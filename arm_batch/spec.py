"""The definition of a run: everything that decides which pixels come out, checked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.measures import OBJECTIVES, Objective
from arm_batch.core.image_options import DEFAULT_READING, DEFAULT_WRITING, Reading, Writing
from arm_batch.core.large_images import DEFAULT_LARGE_IMAGES, LargeImages
from arm_batch.core.selection.selection import EVERYTHING, Selection
from arm_batch.errors import UsageError

if TYPE_CHECKING:
    from arm_batch.core.prediction.ladder import Ladder

Sink = Literal["parquet", "files", "webdataset"]
ExecutorName = Literal["auto", "ray", "inline"]
RuntimeName = Literal["torch", "openvino"]
RuntimeWish = Literal["auto", RuntimeName]
Precision = Literal["fp32", "bf16"]
PrecisionWish = Literal["auto", Precision]

DEFAULT_OBJECTIVE: Objective = "image-psnr"
"""The best on what papers report and people see, image by image; see "Allocation" in docs/benchmarks.md."""

DEFAULT_LADDERS = {4: "archive-x4", 2: "fsrcnn-x2"}
"""The ladder of each scale where none is asked for."""

DEFAULT_SCALE = 4
DEFAULT_LADDER = DEFAULT_LADDERS[DEFAULT_SCALE]
"""Made for pictures as archives have them."""


@dataclass(frozen=True)
class Engine:
    """What multiplies in a run: decided when it begins, and recorded, as it shows in the last bits.

    Attributes:
        runtime: that runs nets on CPUs. GPUs have PyTorch alone.
        precision: of what nets multiply, on CPUs and GPUs. What they add up, and levels, are float32.
    """

    runtime: RuntimeName = "torch"
    precision: Precision = "fp32"

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


DEFAULT_ENGINE = Engine()


@dataclass(frozen=True)
class ShardLimits:
    """How much is planned, run and committed together.

    Attributes:
        images: enough to fill batches, few enough that a lost shard is soon done again.
        source_bytes: a JPEG of 2 MiB holds some 10 megapixels, at x4 half a gigabyte of pixels.
    """

    images: int = 32
    source_bytes: int = 2 * 2**20


@dataclass(frozen=True, kw_only=True)
class Resume:
    """What else to do with an output that holds a run already.

    Attributes:
        extend: take up images that INPUT got after the plan, within a budget of their own.
        retry_failed: try the failed images again.
        repair: check what is committed and do again what is damaged.
        add_budget: raise the budget by so much, for what is not committed yet.
    """

    extend: bool = False
    retry_failed: bool = False
    repair: bool = False
    add_budget: Budget | None = None


BORDERS = "as the whole image"
"""What nets make of the border of an image. Runs of 0.1 have it ``mirrored``, and none is both."""


@dataclass(frozen=True, kw_only=True)
class PlanSpec:
    """What a run and a dry run of it have in common: everything that decides a plan, and where it is made.

    Attributes:
        input: folder, ``s3://`` prefix, image, tar, Parquet dataset or list of images.
        ladder: a shipped name or a folder; None for the shipped one of the scale.
        scale: the factor asked for, which must be the ladder's; None for whatever it is.
        objective: what the budget is to make best.
        reading: which images are taken, and how.
        writing: how the upscaled ones are written; a plan goes by the format alone.
        executor: where the work runs; ``auto`` for Ray where a cluster is named or a GPU is here, else in this
            process.
        workers: CPU actors, or processes without Ray; ``None`` for one per core.
        runtime: that runs nets on CPUs; ``auto`` for the one that is faster where the job is started. It plays no
            part in planning, but for how long a run takes.
        precision: of nets; ``auto`` for bf16 where all machines multiply it and the ladder loses nothing by it,
            see `execution.engines`.
        endpoint_url: of an S3 service other than AWS.
        limits: of shards; only what is planned anew goes by them.
        selection: of the images of `input`. In a dry run its sample is what to look at, and stands for what is
            selected without it; its seed is also that of the intervals.
        dedup: whether an image that is there several times is upscaled once.
        large_images: from which size on images are not held in memory as a whole.
    """

    input: str
    ladder: str | None = None
    scale: int | None = None
    objective: Objective = DEFAULT_OBJECTIVE
    reading: Reading = DEFAULT_READING
    writing: Writing = DEFAULT_WRITING
    executor: ExecutorName = "auto"
    workers: int | None = None
    runtime: RuntimeWish = "auto"
    precision: PrecisionWish = "auto"
    endpoint_url: str | None = None
    limits: ShardLimits = ShardLimits()
    selection: Selection = EVERYTHING
    dedup: bool = False
    large_images: LargeImages = DEFAULT_LARGE_IMAGES

    def __post_init__(self) -> None:
        _check_name("objective", self.objective, OBJECTIVES)
        _check_name("executor", self.executor, get_args(ExecutorName))
        _check_name("runtime", self.runtime, get_args(RuntimeWish))
        _check_name("precision", self.precision, get_args(PrecisionWish))
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers do nothing: one at least")
        if self.ladder is None and self.scale not in (None, *DEFAULT_LADDERS):
            known = " or ".join(f"x{scale}" for scale in sorted(DEFAULT_LADDERS))
            raise UsageError(f"no ladder for x{self.scale} is shipped, only for {known}: give one with --ladder")

    @property
    def ladder_name(self) -> str:
        """A shipped name or a folder."""
        return DEFAULT_LADDERS[self.scale or DEFAULT_SCALE] if self.ladder is None else self.ladder

    def settings(self, input_url: str, ladder: Ladder) -> dict[str, str]:
        """The settings that a plan is made for, and that every run that carries it out has too."""
        return {
            "input": input_url,
            "ladder": ladder.digest,
            "scale": str(ladder.scale),
            "objective": self.objective,
            "format": self.writing.format,
            "selection": self.selection.text,
            "dedup": "yes" if self.dedup else "no",
            **self.reading.settings(),
        }


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What the user asked of a run.

    Attributes:
        plan: what is to be planned, and how.
        output: folder or ``s3://`` prefix.
        budget: bound on the executed FLOPs or on the time.
        sink: `parquet` puts the images into the rows, `files` beside them, `webdataset` into tar files.
        single_writer: the user vouches that no other process writes to `output`, on stores that cannot refuse a
            second writer.
        adopt: folder that holds the plan of a dry run, to be carried out; ``None`` to plan now.
        resume: what else to do with an output that holds a run already.
    """

    plan: PlanSpec
    output: str
    budget: Budget
    sink: Sink = "parquet"
    single_writer: bool = False
    adopt: str | None = None
    resume: Resume = Resume()

    def __post_init__(self) -> None:
        _check_name("sink", self.sink, get_args(Sink))

    def settings(self, input_url: str, ladder: Ladder) -> dict[str, str]:
        """The settings that decide the output; a run can only be continued with the same ones."""
        return {
            **self.plan.settings(input_url, ladder),
            **self.plan.writing.settings(),
            "budget": self.budget.text,
            "sink": self.sink,
            "runtime": self.plan.runtime,
            "precision": self.plan.precision,
            "borders": BORDERS,
        }


@dataclass(frozen=True, kw_only=True)
class DryRunSpec:
    """What the user asked of a dry run.

    Attributes:
        plan: what is to be planned, and how.
        output: folder or ``s3://`` prefix for the plan; ``None`` writes nothing.
        budget: one to ask about beside the whole curve.
        profiling: whether to measure the machines and tell how long each budget takes.
    """

    plan: PlanSpec
    output: str | None = None
    budget: Budget | None = None
    profiling: bool = True


def _check_name(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise UsageError(f"unknown {what} {given!r}; known: {', '.join(known)}")


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What of the settings in `now` is not as it was, each as text."""
    return [
        f"{name} was {before.get(name)!r}, is {value!r}"
        for name, value in now.items()
        if before.get(name) != value
    ]


def fingerprint(settings: dict[str, str], inputs: list[tuple[str, int, str]]) -> str:
    """The run id: 16 hex digits over the settings and every input's (path, size, etag)."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for item in inputs:
        digest.update(json.dumps(item).encode())
    return digest.hexdigest()[:16]
