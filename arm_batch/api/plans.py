"""`plan`: the dry run, with the options of the command line as keywords."""

from __future__ import annotations

import os

from arm_batch.api.options import Patterns, Tell, Where, reading_of, selection_of, silent
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.image_options import AUTO, DEFAULT_READING, Writing
from arm_batch.core.stop import Stop, never
from arm_batch.execution.choice import call_helpers
from arm_batch.execution.helpers import helpers_ended
from arm_batch.forecast import Forecast
from arm_batch.spec import (
    DEFAULT_OBJECTIVE,
    DryRunSpec,
    ExecutorName,
    PlanSpec,
    PrecisionWish,
    RuntimeWish,
)


def plan(
    input: Where,
    *,
    plan_out: Where | None = None,
    sample: str | None = None,
    seed: int = 0,
    include: Patterns = (),
    exclude: Patterns = (),
    min_size: str | None = None,
    skip_larger_than: str | None = None,
    limit: int | None = None,
    dedup: bool = False,
    budget: str | None = None,
    scale: int | None = None,
    ladder: str | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    format: str = AUTO,
    max_pixels: int = DEFAULT_READING.max_pixels,
    to_srgb: bool = False,
    float_range: str | None = None,
    frames: str = "first",
    image_column: str | None = None,
    executor: ExecutorName = "auto",
    workers: int | None = None,
    runtime: RuntimeWish = "auto",
    precision: PrecisionWish = "auto",
    endpoint_url: str | None = None,
    profiling: bool = True,
    progress: Tell | None = None,
    stop: Stop = never,
) -> Forecast:
    """Predict what each budget would buy and how long it would take, without upscaling anything.

    What is not told of here is as in `upscale`.

    Args:
        input: as of `upscale`.
        plan_out: folder or ``s3://`` prefix to keep the plan in, for the `plan` of `upscale`; None writes nothing.
        sample: look at so many images (``500``), or a share of them (``2%``), drawn at random.
        budget: one to tell about beside the curve: ``40%``, ``2.5PFLOP`` or ``28dB``.
        profiling: whether the machines are measured, which takes seconds; else no wall times are told.

    Returns:
        The curve of predicted quality (dB) over executed FLOPs, its knee, and sizes of the archive. Images that
        cannot be upscaled are in `failures`, each with its reason.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        StoppedError: `stop` said so before the end.
        StoreError: a folder or bucket cannot be read or written.
        ClusterError: the Ray cluster cannot be reached.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> told = arm_batch.plan(folder.name, executor="inline", profiling=False)
    >>> told.images, told.tiles.value, told.output_pixels.value
    (1, 2.0, 19200.0)
    >>> [point.flops for point in told.curve] == sorted(point.flops for point in told.curve)
    True
    >>> folder.cleanup()
    """
    asked = PlanSpec(
        input=os.fspath(input),
        ladder=ladder,
        scale=scale,
        objective=objective,
        reading=reading_of(max_pixels, to_srgb, float_range, frames, image_column),
        writing=Writing(format),
        executor=executor,
        workers=workers,
        runtime=runtime,
        precision=precision,
        endpoint_url=endpoint_url,
        selection=selection_of(include, exclude, min_size, skip_larger_than, limit, sample, seed),
        dedup=dedup,
    )
    spec = DryRunSpec(
        plan=asked,
        output=None if plan_out is None else os.fspath(plan_out),
        budget=None if budget is None else parse_budget(budget),
        profiling=profiling,
    )
    with helpers_ended() as helpers:
        call_helpers(asked, helpers)
        # Torch takes seconds to load, and helpers have begun to.
        from arm_batch import pipeline

        return pipeline.plan(spec, progress or silent, stop, helpers)
