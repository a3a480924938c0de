"""The manifest: the word that an output is complete, and the parts that it consists of.

Until it is written, readers go through the commit records. Afterwards ``data/`` holds nothing else than the parts
that count, so that any Parquet reader can read it plainly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from arm_batch.core.json_records import Count, Index, Name, Record, encode_record
from arm_batch.errors import StoreError
from arm_batch.runstate.allocation import stray_tables, tables_prefix
from arm_batch.runstate.commit import Commit, CommitLog, Part, visible_parts
from arm_batch.runstate.damage import REPAIR
from arm_batch.runstate.generation import Generation, generation_prefix, list_generations
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.runstate.shard_writer import DATA
from arm_batch.runstate.staging import publish_waiting
from arm_batch.runstate.tars import TARS
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.json_documents import read_record

MANIFEST_KEY = "manifest.json"


class Manifest(Record, frozen=True):
    """What a complete output consists of.

    Attributes:
        run_id: of the run.
        generations: of it.
        shards: of all generations.
        rows: that count.
        spent_flops: for all of them.
        parts: the files that hold them.
        tars: the files that hold their images, with the sink `webdataset`.
    """

    what: ClassVar[str] = "a manifest"
    remedy: ClassVar[str] = "running the same `arm-batch upscale` again writes it anew"
    format: ClassVar[int] = 1

    run_id: Name
    generations: Index
    shards: Index
    rows: Count
    spent_flops: Count
    parts: tuple[Part, ...]
    tars: tuple[Part, ...]


def count_missing(generations: Sequence[Generation], commits: Iterable[ShardId]) -> dict[int, int]:
    """How many shards are still to do, by number of the generation; those that are complete are left out.

    What a damaged record of a generation claims costs no more time or memory than what is there.
    """
    done = Counter(shard.generation for shard in commits if is_among(shard, generations))
    return {g.number: g.shards - done[g.number] for g in generations if done[g.number] < g.shards}


def is_among(shard: ShardId, generations: Sequence[Generation]) -> bool:
    """Whether a shard is one of these generations; they are all, in order."""
    return shard.generation < len(generations) and shard.index < generations[shard.generation].shards


def finish(store: ObjectStore, generations: Sequence[Generation], log: CommitLog) -> list[Commit]:
    """Move what waits to its place, write the manifest of a complete run, and remove what no record names.

    May be repeated, and done by two at once. The listing of parts comes before the reading of the records: a part
    that a record names was written before the record, so none that counts can look like an orphan. Nothing is
    removed from among the images: what a run puts there has its record already, and a user may keep things there.

    Args:
        store: the output.
        generations: of the run.
        log: of its commit records.

    Returns:
        The commit records, which there is no need to read again.

    Raises:
        StoreError: a shard is not committed, a part is gone or cut off, or the store cannot be read or written.
    """
    prefixes = [DATA, TARS]
    prefixes += [generation_prefix(g.number) + kind for g in generations for kind in ("listing-", "tables-")]
    sizes = {info.key: info.size for prefix in prefixes for info in store.list(prefix)}
    commits = log.refresh()
    if count_missing(generations, commits):
        raise StoreError(f"{store.url} is not complete, so there is nothing to finish")
    manifest = manifest_of(generations, list(commits.values()))
    _check_whole(store, (*manifest.parts, *manifest.tars), sizes)
    # Every shard has its record: what is still staged and has none came to nothing.
    orphans = publish_waiting(store)
    commits = _write_manifest(store, log)
    manifest = manifest_of(generations, list(commits.values()))
    for key in (*orphans, *_orphans(store, generations, manifest, sizes.keys())):
        if not _is_of_later(key, len(generations)):
            store.delete(key)
    store.sweep()
    return list(commits.values())


def _orphans(
    store: ObjectStore, generations: Sequence[Generation], manifest: Manifest, keys: Collection[str]
) -> Iterator[str]:
    """Of `keys`, those that no record names."""
    named = {file.key for file in (*manifest.parts, *manifest.tars)} | {g.listing for g in generations}
    tables = tuple(tables_prefix(generation.number) for generation in generations)
    yield from (key for key in keys if key not in named and not key.startswith(tables))
    for generation in generations:
        yield from stray_tables(store, generation, keys)


def _write_manifest(store: ObjectStore, log: CommitLog) -> dict[ShardId, Commit]:
    """Write it until no other driver has done more meanwhile; returns all records.

    Where another has begun a generation that is not complete, there is to be no manifest: that driver took it
    away, perhaps before it was written here, and writes it at its own end.
    """
    while True:
        generations, commits = list_generations(store), log.refresh()
        if count_missing(generations, commits):
            store.delete(MANIFEST_KEY)
        else:
            store.write(MANIFEST_KEY, encode_record(manifest_of(generations, list(commits.values()))))
        now = log.refresh()
        if now.keys() == commits.keys() and len(list_generations(store)) == len(generations):
            return now


def _is_of_later(key: str, generations: int) -> bool:
    """Whether an object belongs to a generation that another driver has begun since: it may just be at it."""
    match = re.search(r"/(?:part-)?g(\d{4,})-\d{6,}-", key)
    return match is not None and int(match[1]) >= generations


def is_finished(store: ObjectStore) -> bool:
    """Whether there is a manifest, damaged or not."""
    try:
        store.stat(MANIFEST_KEY)
    except FileNotFoundError:
        return False
    return True


def read_manifest(store: ObjectStore) -> Manifest | None:
    """The manifest, None where the run is not complete; `StoreError` when it is damaged."""
    return read_record(store, MANIFEST_KEY, Manifest)


def manifest_of(generations: Sequence[Generation], commits: Sequence[Commit]) -> Manifest:
    """What the manifest of a complete run says.

    Args:
        generations: of the run.
        commits: all, in order.
    """
    parts = tuple(visible_parts(commits))
    return Manifest(
        run_id=generations[0].run_id,
        generations=len(generations),
        shards=len(commits),
        rows=sum(part.rows for part in parts),
        spent_flops=sum(commit.flops for commit in commits),
        parts=parts,
        tars=tuple(commit.tar for commit in commits if commit.tar is not None),
    )


def _check_whole(store: ObjectStore, parts: Sequence[Part], sizes: Mapping[str, int]) -> None:
    """Refuse parts that are gone or of another size than was committed; what is in them `verify` reads.

    Args:
        store: the output.
        parts: that count.
        sizes: of what was listed, by key.

    Raises:
        StoreError: names the first.
    """
    for part in parts:
        # What another driver has committed since is not in the listing.
        size = sizes[part.key] if part.key in sizes else _size_of(store, part.key)
        if size != part.size:
            told = "is missing" if size is None else f"has {size:,} bytes where {part.size:,} were committed"
            raise StoreError(f"{store.url}/{part.key} {told}; {REPAIR}")


def _size_of(store: ObjectStore, key: str) -> int | None:
    try:
        return store.stat(key).size
    except FileNotFoundError:
        return None
