"""Small archives for tests: images with flat, smooth and busy parts, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.arrays import Pixels
from arm_batch.core.progress import Progress
from arm_batch.spec import DryRunSpec, ExecutorName, JobSpec, PlanSpec, Resume, ShardLimits, Sink

LADDER = "fsrcnn-x4"

ALONE = ("--executor", "inline", "--workers", "1")
"""Options with which everything happens in the calling thread, one after the other."""

NO_RESUME = Resume()

AnySpec = TypeVar("AnySpec", JobSpec, DryRunSpec)


def draw(seed: int, height: int, width: int, channels: int = 3, depth: int = 8) -> Pixels:
    """uint8 or uint16 ``(h, w, c)``: a gradient, with noise whose strength grows to the right."""
    rng = np.random.default_rng(seed)
    across = np.linspace(0, 1, width)[None, :, None]
    noise = rng.normal(0, 0.25, (height, width, channels)) * across**2
    levels = np.clip(0.2 + 0.5 * across + noise, 0, 1) * (2**depth - 1)
    return np.asarray(levels, np.uint8 if depth == 8 else np.uint16)


def write_png(path: Path, pixels: Pixels) -> None:
    """Write RGB or grey as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    path.write_bytes(data.tobytes())


LR_SIZES = {
    "a.png": (70, 90),
    "b.png": (33, 40),
    "deep/c.png": (64, 64),
    "deep/er/d.png": (20, 130),
    "grey.png": (50, 60),
    "sixteen.png": (45, 70),
    "sixteen-grey.png": (40, 40),
}
"""Height and width of what `make_archive` makes."""


def make_archive(folder: Path) -> Path:
    """Seven readable images of different sizes, depths and folders."""
    for seed, (name, size) in enumerate(
        {"a.png": (70, 90), "b.png": (33, 40), "deep/c.png": (64, 64), "deep/er/d.png": (20, 130)}.items()
    ):
        write_png(folder / name, draw(seed, *size))
    write_png(folder / "grey.png", draw(7, 50, 60, channels=1))
    write_png(folder / "sixteen.png", draw(8, 45, 70, depth=16))
    write_png(folder / "sixteen-grey.png", draw(9, 40, 40, channels=1, depth=16))
    return folder


def make_messy_archive(folder: Path) -> Path:
    """What people have: a good image, a speck, a strip, and three files that are not images."""
    write_png(folder / "good.png", draw(0, 70, 90))
    write_png(folder / "speck.png", draw(1, 1, 1))
    write_png(folder / "strip.png", draw(2, 3, 5000))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is not a picture\n")
    whole = (folder / "good.png").read_bytes()
    (folder / "corrupt.png").write_bytes(whole[: len(whole) // 2])
    return folder


def job(
    archive: Path | str,
    output: Path | str,
    budget: str = "50%",
    executor: ExecutorName = "inline",
    sink: Sink = "parquet",
    workers: int | None = None,
    endpoint_url: str | None = None,
    shard_images: int = 32,
    resume: Resume = NO_RESUME,
) -> JobSpec:
    """A job with the shipped ladder."""
    plan = PlanSpec(
        input=str(archive),
        ladder=LADDER,
        scale=4,
        executor=executor,
        # The reference: one after the other.
        workers=1 if workers is None and executor == "inline" else workers,
        endpoint_url=endpoint_url,
        limits=ShardLimits(images=shard_images),
        # The reference: which is the fastest here is no matter of chance for a test.
        runtime="torch",
    )
    return JobSpec(plan=plan, output=str(output), budget=parse_budget(budget), sink=sink, resume=resume)


def replanned(spec: AnySpec, **changes: Any) -> AnySpec:
    """The same run or dry run with other fields of its `PlanSpec`; on Ray with a worker for each core."""
    if changes.get("executor") == "ray":
        changes = {"workers": None} | changes
    return replace(spec, plan=replace(spec.plan, **changes))


def silent(progress: Progress) -> None:
    """A progress callback that checks what it is told."""
    assert 0 <= progress.shards_done <= progress.shards
    assert 0 <= progress.images_failed <= progress.images_done <= progress.images
    assert progress.budget_flops is None or progress.spent_flops <= progress.budget_flops
