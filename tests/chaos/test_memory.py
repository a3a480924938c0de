"""What a run does with little memory: an object store that overflows, and a plan of very many images."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from arm_batch import open_dataset, pipeline
from arm_batch.budget.protocol import GenerationBudget
from arm_batch.core.stop import Stop
from arm_batch.errors import StoppedError
from arm_batch.execution.inline import InlineExecutor
from arm_batch.execution.messages import ShardSummary
from arm_batch.execution.planning import keep_plan
from arm_batch.inputs.listing import Input, Listing
from arm_batch.inputs.sources import Entry
from arm_batch.pipeline import executors
from arm_batch.runstate.commit import Commit, Part, create_commit
from arm_batch.runstate.shard_plan import ImagePlan, Shard, ShardId, ShardPlan
from tests.archives import draw, job, silent, write_png

Scale = Callable[[int, int], int]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_an_object_store_that_overflows(tmp_path: Path) -> None:
    for seed in range(4):
        write_png(tmp_path / "in" / f"{seed}.png", draw(seed, 700, 700))
    pipeline.upscale(job(tmp_path / "in", tmp_path / "whole"), silent)
    # The smallest that Ray takes; the shard's tiles alone are larger, and go to disk.
    ray.init(
        address="local", num_cpus=2, object_store_memory=80 << 20, include_dashboard=False, log_to_driver=False
    )
    try:
        pipeline.upscale(job(tmp_path / "in", tmp_path / "out", executor="ray"), silent)
    finally:
        ray.shutdown()
    whole, out = (open_dataset(str(tmp_path / name)).to_table().sort_by("path") for name in ("whole", "out"))
    assert out.equals(whole)


def test_a_million_images(tmp_path: Path, scale: Scale) -> None:
    """Plans, allocates, lists and resumes without pixels; CI takes a tenth of the images."""
    images = scale(100_000, 1_000_000)
    context = multiprocessing.get_context("spawn")
    peaks = []
    for half in (True, False, False):
        queue = context.Queue()
        process = context.Process(target=_run_very_many, args=(str(tmp_path), images, half, queue))
        process.start()
        process.join()
        assert process.exitcode == 0
        peak_mib, seconds, read = queue.get()
        peaks.append(peak_mib)
        print(f"{images:,} images: {seconds:.0f} s, peak {peak_mib:,.0f} MiB, {read:,} shards planned")
        assert (read > 0) == half
    # A process that has imported everything and does nothing takes some 450 MiB.
    assert max(peaks) < 500 + 1000 * images / 1_000_000


def _run_very_many(folder: str, images: int, half: bool, queue: Any) -> None:
    """Run in a process of its own, to the end or until half the shards are committed."""
    names = (f"{n // 1000:05d}/{n:09d}.jpg" for n in range(images))
    entries = [
        Entry(path=name, key=name, row=None, size=60_000, etag=f"{number:032x}")
        for number, name in enumerate(names)
    ]
    # In a process of its own nothing has to be put back.
    setattr(Input, "listing", lambda _self, _selection, _reserved: Listing(entries))  # noqa: B010
    setattr(executors, "InlineExecutor", NoPixels)  # noqa: B010
    started = time.monotonic()
    try:
        spec = job(f"{folder}/in", f"{folder}/out")
        pipeline.upscale(spec, silent, lambda: half and NoPixels.committed > images // 64)
    except StoppedError:
        assert half
    queue.put((peak_memory_mib(), time.monotonic() - started, NoPixels.planned))


def peak_memory_mib() -> float:
    """Of this process since it was started; `getrusage` would tell of its parent's too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


class NoPixels(InlineExecutor):
    """Makes scores and records up, but keeps and reads plans as usual."""

    planned = 0
    committed = 0

    def plan(self, shards: Iterable[Shard], stop: Stop) -> Iterator[ShardSummary]:
        """Sixteen tiles an image."""
        rng = np.random.default_rng(0)
        for shard in shards:
            if stop():
                return
            NoPixels.planned += 1
            images = []
            for entry, output in zip(shard.entries, shard.outputs, strict=True):
                scores = rng.gamma(2, 4, (16, 2)).astype(np.float32)
                images.append(ImagePlan(entry, output, entry.size, 128, 128, scores, None, "png"))
            yield keep_plan(self._context, ShardPlan(shard.id, tuple(images)))

    def run(self, shards: Sequence[ShardId], budget: GenerationBudget, stop: Stop) -> Iterator[Commit]:
        """Commit what each shard is allocated."""
        for shard in shards:
            if stop():
                return
            NoPixels.committed += 1
            share = budget.begin(shard.index)
            assert share is not None
            tiles = share.per_subnet
            flops = int(tiles @ self._context.ladder.costs)
            part = Part(f"data/part-g0000-{shard.index:06d}-try", int(tiles.sum()) // 16, 0, "0" * 64)
            self._context.output.write(part.key, b"")
            commit = create_commit(
                self._context.output, Commit(shard, "try", part, None, flops, tuple(tiles.tolist()))
            )
            budget.settle(shard.index, commit.flops)
            yield commit
