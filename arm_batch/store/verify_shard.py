"""Reading one shard back: its record, plan, parts, rows and images."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.core.giants import DEFAULT_GIANTS, Giants
from arm_batch.core.imaging import Reading
from arm_batch.errors import ImageError, StoreError
from arm_batch.store.commit import Commit, Part, commit_key, read_commit
from arm_batch.store.giants import open_strips, read_through
from arm_batch.store.images import Images
from arm_batch.store.objects import ObjectStore, hash_stream
from arm_batch.store.plan import ShardId, ShardPlan, plan_key, read_plan
from arm_batch.store.records import ImageRecord, from_table, output_schema

_ANY_SIZE = Reading(max_pixels=sys.maxsize)
"""What was committed needs no guard."""

READ_BACK = Giants(streamed=DEFAULT_GIANTS.pixels)
"""Only giants are in formats that can be read in strips."""

Repair = Literal["none", "again", "plan again", "finish"]
"""What mends a problem: nothing can; the shard is run again; it is planned again; the run is finished again."""


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        key: of the object.
        what: one line for a person.
        repair: what mends it.
        shard: that it belongs to, None for none.
    """

    key: str
    what: str
    repair: Repair
    shard: ShardId | None = None

    def __str__(self) -> str:
        return f"{self.key}: {self.what}"


@dataclass(frozen=True)
class Findings:
    """What was found of one shard.

    Attributes:
        problems: all that is wrong.
        commit: its record.
        done: paths of the inputs that were upscaled.
        failed: paths of those that were not, and that no retry has taken over.
    """

    problems: tuple[Problem, ...]
    commit: Commit
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def verify_record(store: ObjectStore, shard: ShardId) -> Commit | Problem | None:
    """The commit record of a shard, or what is wrong with it; None where it has gone meanwhile."""
    try:
        commit = read_commit(store, shard)
    except StoreError as error:
        return Problem(commit_key(shard), str(error), "again", shard)
    if commit is not None and commit.shard != shard:
        return Problem(commit_key(shard), f"is the record of {commit.shard}", "again", shard)
    return commit


def verify_shard(
    store: ObjectStore, commit: Commit, costs: tuple[int, ...], replaced: bool, giants: Giants
) -> Findings:
    """Read back one shard: its plan, parts, rows and images.

    Args:
        store: the output.
        commit: its record.
        costs: FLOPs of a tile by subnet; empty where they are not known.
        replaced: whether a retry has taken the place of its failed rows, which then may be gone.
        giants: which images are read in strips.
    """
    shard = commit.shard
    try:
        plan = read_plan(store, shard)
    except StoreError as error:
        return Findings((Problem(plan_key(shard), str(error), "plan again", shard),), commit)
    problems: list[Problem] = []
    rows: list[ImageRecord] = []
    for part in (commit.done, None if replaced else commit.failed, commit.tar):
        if part is not None:
            try:
                if part is commit.tar:
                    _read_whole(store, part)
                else:
                    rows += _read_rows(store, part, plan)
            except StoreError as error:
                problems.append(Problem(part.key, str(error), "again", shard))
    if not problems:
        told = _verify_rows(commit, plan, rows, commit.failures if replaced else 0)
        problems += [Problem(commit_key(shard), each, "again", shard) for each in told]
        problems += _verify_images(Images(store), giants, commit, plan, rows, costs)
    done, failed = (tuple(row.path for row in rows if row.status == status) for status in ("ok", "failed"))
    return Findings(tuple(problems), commit, done, failed)


def _read_whole(store: ObjectStore, part: Part) -> bytes:
    try:
        data = store.read(part.key)
    except (FileNotFoundError, PermissionError) as error:
        raise StoreError(f"the part cannot be read: {error}") from error
    if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError("the part is not what was committed: its size or SHA-256 differs")
    return data


def _read_rows(store: ObjectStore, part: Part, plan: ShardPlan) -> list[ImageRecord]:
    data = _read_whole(store, part)
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"the part cannot be read as Parquet: {error}") from error
    schema = output_schema(None if plan.extras is None else plan.extras.schema)
    if not table.schema.equals(schema) or table.num_rows != part.rows:
        raise StoreError(f"the part has {table.num_rows} rows, not {part.rows}, or other columns")
    return from_table(table)


def _verify_rows(commit: Commit, plan: ShardPlan, rows: list[ImageRecord], unread: int) -> Iterator[str]:
    """The rows that were read, and `unread` failed ones, are those of the plan and of the record."""
    wanted = Counter(image.entry.path for image in plan.images)
    found = Counter(row.path for row in rows)
    missing, extra = (sum(difference.values()) for difference in (wanted - found, found - wanted))
    if missing != unread or extra:
        yield f"its rows are not its images: {missing - unread} missing, {extra} extra"
    failed = sum(row.status == "failed" for row in rows) + unread
    if failed != commit.failures:
        yield f"{failed} rows failed, the record says {commit.failures}"
    flops = sum(row.flops for row in rows)
    if flops != commit.flops:
        yield f"its rows spent {flops:,} FLOPs, the record says {commit.flops:,}"
    if plan.origin != commit.origin:
        yield f"it replaces the failed rows of {plan.origin}, the record says {commit.origin}"


def _verify_images(
    images: Images,
    giants: Giants,
    commit: Commit,
    plan: ShardPlan,
    rows: list[ImageRecord],
    costs: tuple[int, ...],
) -> Iterator[Problem]:
    sizes = {image.entry.path: (image.height, image.width) for image in plan.images}
    for row in rows:
        if row.status == "ok":
            key = row.image.path if row.image is not None and row.image.bytes is None else commit_key(commit.shard)
            for told in _verify_image(images, giants, row, sizes.get(row.path, (0, 0)), costs):
                yield Problem(key, f"{row.path}: {told}", "again", commit.shard)


def _verify_image(
    images: Images, giants: Giants, row: ImageRecord, lr_size: tuple[int, int], costs: tuple[int, ...]
) -> Iterator[str]:
    height, width = (side * row.scale for side in lr_size)
    if (row.height, row.width) != (height, width):
        yield f"its row says {row.width} x {row.height} px, the plan {width} x {height}"
    if costs and row.flops != sum(n * cost for n, cost in zip(row.subnet_tiles, costs, strict=True)):
        yield "its FLOPs are not those of its tiles"
    if row.image is None:
        yield "its row has no image"
        return
    try:
        with images.open(row.image) as stream:
            yield from _verify_pixels(stream, giants, row, height, width)
    except (FileNotFoundError, PermissionError) as error:
        yield f"its image cannot be read: {error}"


def _verify_pixels(stream: BinaryIO, giants: Giants, row: ImageRecord, height: int, width: int) -> Iterator[str]:
    if hash_stream(stream) != row.sha256:
        yield "its image is not what was committed: the SHA-256 differs"
        return
    try:
        strips = open_strips(stream, _ANY_SIZE, giants)
        if (strips.height, strips.width) != (height, width):
            yield f"its image has {strips.width} x {strips.height} px, not {width} x {height}"
        read_through(strips)
    except ImageError as error:
        yield f"its image does not decode: {error}"
