"""`upscale`: the job, with the options of the command line as keywords."""

from __future__ import annotations

import os

from arm_batch.api.options import Patterns, Tell, Where, reading_of, selection_of, silent
from arm_batch.core.allocation.budget import Budget, parse_budget, target_budget
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.image_options import AUTO, DEFAULT_READING, Writing
from arm_batch.core.stop import Stop, never
from arm_batch.errors import UsageError
from arm_batch.execution.choice import call_helpers
from arm_batch.execution.helpers import helpers_ended
from arm_batch.report import RunSummary
from arm_batch.spec import (
    DEFAULT_OBJECTIVE,
    ExecutorName,
    JobSpec,
    PlanSpec,
    PrecisionWish,
    Resume,
    RuntimeWish,
    Sink,
)


def upscale(
    input: Where,
    output: Where,
    *,
    budget: str | None = None,
    target_psnr: float | None = None,
    scale: int | None = None,
    ladder: str | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    sink: Sink = "parquet",
    format: str = AUTO,
    quality: int = 95,
    strip_metadata: bool = False,
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
    include: Patterns = (),
    exclude: Patterns = (),
    min_size: str | None = None,
    skip_larger_than: str | None = None,
    limit: int | None = None,
    dedup: bool = False,
    sample: str | None = None,
    seed: int = 0,
    plan: Where | None = None,
    extend: bool = False,
    retry_failed: bool = False,
    repair: bool = False,
    add_budget: str | None = None,
    single_writer: bool = False,
    progress: Tell | None = None,
    stop: Stop = never,
) -> RunSummary:
    """Upscale an archive within a budget, or go on with it: called again on the same OUTPUT, it does what is left.

    The options are those of ``arm-batch upscale``, written as there; ``docs/guide.md`` tells more of each.

    Args:
        input: folder, ``s3://`` prefix, image, tar, Parquet dataset or list of images.
        output: folder or ``s3://`` prefix; new, or of this same run.
        budget: a share of the largest subnet everywhere (``40%``), executed FLOPs (``2.5PFLOP``), wall time
            (``90min``), device-hours (``3gpu-hours``) or a pool (``pool:URL``); None for ``100%``.
        target_psnr: in place of a budget, in dB: the least spend that is predicted to reach it.
        scale: the factor for height and width, which must be the ladder's; None for whatever that is.
        ladder: a shipped name or a folder; None for the shipped one of the scale, x4 where that is None, too.
        objective: what is made best: PSNR of images, of tiles (``psnr``) or of the pooled error (``mse``).
        sink: images inside the Parquet rows, as ``files`` beside them, or in ``webdataset`` tars.
        format: ``auto``, ``png``, ``jpeg``, ``webp``, ``tiff`` or ``avif``.
        quality: 1 to 100, of jpeg, webp and avif.
        strip_metadata: whether EXIF and XMP are left out.
        max_pixels: of an input image; larger ones are failed rows.
        to_srgb: whether colours are converted to sRGB.
        float_range: ``LOW,HIGH``: what is black and white where samples are floats or of 32 bits.
        frames: of several frames or pages ``first``, a number from 0, or ``refuse``.
        image_column: of Parquet files where several may be.
        executor: ``ray``; ``inline`` for this process and helpers of it on all its cores; ``auto`` for Ray where a
            cluster is named or a GPU is here, else ``inline``.
        workers: CPU actors, or processes with ``inline``; None for one per core.
        runtime: that runs nets on CPUs: ``torch``, ``openvino``, or ``auto`` for the faster one, decided when the
            run begins and kept when it goes on.
        precision: of nets: ``fp32``, ``bf16``, or ``auto`` for bf16 where every machine multiplies it, no subnet
            of the ladder loses 0.02 dB by it, and it is faster; kept when the run goes on.
        endpoint_url: of an S3 service other than AWS.
        include: patterns of which a path must match one; none for all.
        exclude: patterns of which it must match none.
        min_size: of an image's file, such as ``20KB``; smaller ones are left out.
        skip_larger_than: larger files are left out.
        limit: at most so many images, the first by path.
        dedup: whether images of the same bytes are upscaled once.
        sample: only so many images (``500``), or a share of them (``2%``), drawn at random.
        seed: of the sample.
        plan: the folder that `plan` kept its result in.
        extend: take up images that came to INPUT after the plan.
        retry_failed: try the failed images again.
        repair: read OUTPUT back and do again what is damaged.
        add_budget: raise the budget of the run by so much.
        single_writer: no other job writes to OUTPUT: for stores without If-None-Match.
        progress: called with a `Progress` whenever something is done: stage, images, tiles, FLOPs, speed.
        stop: asked between shards; once it says True, the run ends in order, to be gone on with later.

    Returns:
        What became of the run. Images that cannot be upscaled raise nothing: they are counted in `failed`, and
        their rows, see `open_dataset`, say why.

    Raises:
        UsageError: the request makes no sense (`BudgetError`, `InputError`, `OutputError`, `LadderError` tell what
            of it); nothing was written.
        StoppedError: `stop` said so before the end.
        StoreError: a folder or bucket cannot be read or written; calling again goes on.
        ClusterError: the Ray cluster cannot be reached.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> told = []
    >>> done = arm_batch.upscale(
    ...     folder.name + "/ramp.png", folder.name + "/out", budget="40%", executor="inline",
    ...     progress=told.append,
    ... )
    >>> done.images, done.failed, 0 < done.spent_flops <= done.budget_flops, told[-1].stage, told[-1].images_done
    (1, 0, True, 'run', 1)
    >>> folder.cleanup()
    """
    asked = PlanSpec(
        input=os.fspath(input),
        ladder=ladder,
        scale=scale,
        objective=objective,
        reading=reading_of(max_pixels, to_srgb, float_range, frames, image_column),
        writing=Writing(format, quality, strip_metadata),
        executor=executor,
        workers=workers,
        runtime=runtime,
        precision=precision,
        endpoint_url=endpoint_url,
        selection=selection_of(include, exclude, min_size, skip_larger_than, limit, sample, seed),
        dedup=dedup,
    )
    spec = JobSpec(
        plan=asked,
        output=os.fspath(output),
        budget=_budget(budget, target_psnr),
        sink=sink,
        single_writer=single_writer,
        adopt=None if plan is None else os.fspath(plan),
        resume=Resume(
            extend=extend,
            retry_failed=retry_failed,
            repair=repair,
            add_budget=None if add_budget is None else parse_budget(add_budget),
        ),
    )
    with helpers_ended() as helpers:
        call_helpers(asked, helpers)
        # Torch takes seconds to load, and helpers have begun to.
        from arm_batch import pipeline

        return pipeline.upscale(spec, progress or silent, stop, helpers)


def _budget(budget: str | None, target_psnr: float | None) -> Budget:
    if target_psnr is None:
        return parse_budget("100%" if budget is None else budget)
    if budget is not None:
        raise UsageError(
            "a budget and a target PSNR cannot go together: one says what to spend, the other what for"
        )
    return target_budget(target_psnr)
