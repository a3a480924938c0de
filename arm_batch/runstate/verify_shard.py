"""Reading one shard back: its record, plan, parts, rows and images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arm_batch.core.large_images import LargeImages
from arm_batch.errors import StoreError
from arm_batch.inputs.sources import Entry
from arm_batch.runstate.commit import Commit, Part, commit_key, read_commit
from arm_batch.runstate.damage import REPAIR
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.parts import read_part, read_table
from arm_batch.runstate.plan_files import plan_key, read_plan
from arm_batch.runstate.rows import SCHEMA, ImageRecord, from_table, output_schema
from arm_batch.runstate.shard_plan import ShardId, ShardPlan, left_to
from arm_batch.runstate.verify_image import verify_image
from arm_batch.storage.base import ObjectStore

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


def about(entries: Sequence[Entry], origin: ShardId | None) -> bytes:
    """A hash of what a plan is about: the inputs of its shard, and whose failed rows they replace."""
    return hashlib.sha256(repr((tuple(entries), origin)).encode(errors="surrogatepass")).digest()


def read_plan_about(store: ObjectStore, shard: ShardId, wanted: bytes | None) -> ShardPlan:
    """The plan of a shard, which has to be about what the listing says of it, see `about`; None for anything.

    Raises:
        StoreError: it is not, is missing or damaged.
    """
    plan = read_plan(store, shard)
    if wanted is not None and about([image.entry for image in plan.images], plan.origin) != wanted:
        raise StoreError(f"{store.url}/{plan_key(shard)} is not about the inputs that are listed; {REPAIR}")
    return plan


def verify_shard(
    store: ObjectStore,
    commit: Commit,
    costs: tuple[int, ...],
    replaced: bool,
    staged: Mapping[str, str],
    large_images: LargeImages,
    wanted: bytes | None,
) -> Findings:
    """Read back one shard: its plan, parts, rows and images.

    Args:
        store: the output.
        commit: its record.
        costs: FLOPs of a tile by subnet; empty where they are not known.
        replaced: whether a retry has taken the place of its failed rows, which then may be gone.
        staged: where images lie that are not yet at their places.
        large_images: which images are read in strips.
        wanted: what its plan has to be about; None where its listing is damaged.
    """
    shard = commit.shard
    problems: list[Problem] = []
    plan: ShardPlan | None = None
    try:
        plan = read_plan_about(store, shard, wanted)
    except StoreError as error:
        # The rows may be sound all the same.
        problems.append(Problem(plan_key(shard), str(error), "plan again", shard))
    rows, broken = _read_parts(store, commit, replaced, plan)
    problems += broken
    if not broken:
        told = _verify_rows(commit, plan, rows, commit.failures if replaced else 0)
        problems += [Problem(commit_key(shard), each, "again", shard) for each in told]
        problems += _verify_images(Images(store, staged), large_images, commit, plan, rows, costs)
    done, failed = (tuple(row.path for row in rows if row.status == status) for status in ("ok", "failed"))
    return Findings(tuple(problems), commit, done, failed)


def _read_parts(
    store: ObjectStore, commit: Commit, replaced: bool, plan: ShardPlan | None
) -> tuple[list[ImageRecord], list[Problem]]:
    """The rows of all parts that count, and which parts are broken."""
    rows: list[ImageRecord] = []
    problems: list[Problem] = []
    for part in (commit.done, None if replaced else commit.failed, commit.tar):
        try:
            if part is not None and part is commit.tar:
                read_part(store, part)
            elif part is not None:
                rows += _read_rows(store, part, plan)
        except StoreError as error:
            assert part is not None
            problems.append(Problem(part.key, str(error), "again", commit.shard))
    return rows, problems


def _read_rows(store: ObjectStore, part: Part, plan: ShardPlan | None) -> list[ImageRecord]:
    table = read_table(store, part)
    own = table.select([name for name in SCHEMA.names if name in table.column_names]).schema
    if plan is None:
        sound = own.equals(SCHEMA)
    else:
        sound = table.schema.equals(output_schema(None if plan.passthrough is None else plan.passthrough.schema))
    if not sound:
        raise StoreError("the part has other columns")
    return from_table(table)


def _verify_rows(commit: Commit, plan: ShardPlan | None, rows: list[ImageRecord], unread: int) -> Iterator[str]:
    """The rows that were read, and `unread` failed ones, are those of the plan and of the record."""
    if plan is not None:
        yield from _compare_with_plan(commit, plan, rows, unread)
    failed = sum(row.status == "failed" for row in rows) + unread
    if failed != commit.failures:
        yield f"{failed} rows failed, the record says {commit.failures}"
    flops = sum(row.flops for row in rows)
    if flops != commit.flops:
        yield f"its rows spent {flops:,} FLOPs, the record says {commit.flops:,}"
    by_row = [row.subnet_tiles for row in rows]
    if any(len(tiles) != len(commit.subnet_tiles) for tiles in by_row):
        yield "its rows and the record differ in the number of subnets"
    elif rows and tuple(map(sum, zip(*by_row, strict=True))) != commit.subnet_tiles:
        yield "its rows have other tiles than the record says"


def _compare_with_plan(commit: Commit, plan: ShardPlan, rows: list[ImageRecord], unread: int) -> Iterator[str]:
    wanted = Counter(image.entry.path for image in plan.images if left_to(image) is None)
    found = Counter(row.path for row in rows)
    missing, extra = (sum(difference.values()) for difference in (wanted - found, found - wanted))
    if missing != unread or extra:
        yield f"its rows are not its images: {missing - unread} missing, {extra} extra"
    if plan.origin != commit.origin:
        yield f"it replaces the failed rows of {plan.origin}, the record says {commit.origin}"


def _verify_images(
    images: Images,
    large_images: LargeImages,
    commit: Commit,
    plan: ShardPlan | None,
    rows: list[ImageRecord],
    costs: tuple[int, ...],
) -> Iterator[Problem]:
    planned = () if plan is None else plan.images
    sizes = {image.entry.path: (image.height, image.width) for image in planned}
    for row in rows:
        if row.status == "ok":
            key = row.image.path if row.image is not None and row.image.bytes is None else commit_key(commit.shard)
            for told in verify_image(images, large_images, row, sizes.get(row.path), costs):
                yield Problem(key, f"{row.path}: {told}", "again", commit.shard)
