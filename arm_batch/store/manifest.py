"""The manifest: the word that an output is complete, and the parts that it consists of.

Until it is written, readers go through the commit records. Afterwards ``data/`` holds nothing else than the parts
that count, so that any Parquet reader can read it plainly.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Mapping, Sequence
from typing import Any

from arm_batch.errors import StoreError
from arm_batch.store.allocation import tables_of
from arm_batch.store.commit import Commit, CommitLog, Part, visible_parts
from arm_batch.store.documents import read_document
from arm_batch.store.generation import Generation, generation_prefix
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ShardId
from arm_batch.store.sinks import DATA
from arm_batch.store.staging import publish_waiting
from arm_batch.store.tars import TARS

MANIFEST_KEY = "manifest.json"


def missing_shards(generations: Sequence[Generation], commits: Container[ShardId]) -> list[ShardId]:
    """The shards that are still to do, in order."""
    everything = (ShardId(g.number, index) for g in generations for index in range(g.shards))
    return [shard for shard in everything if shard not in commits]


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
        StoreError: a shard is not committed, or the store cannot be read or written.
    """
    prefixes = [DATA, TARS]
    prefixes += [generation_prefix(g.number) + kind for g in generations for kind in ("listing-", "tables-")]
    candidates = [info.key for prefix in prefixes for info in store.list(prefix)]
    commits = log.refresh()
    if missing_shards(generations, commits):
        raise StoreError(f"{store.url} is not complete, so there is nothing to finish")
    # Every shard has its record: what is still staged and has none came to nothing.
    orphans = publish_waiting(store)
    parts = visible_parts(commits.values())
    tars = [commit.tar for commit in commits.values() if commit.tar is not None]
    store.write(MANIFEST_KEY, _document(generations, commits, parts, tars))
    named = {part.key for part in parts} | {tar.key for tar in tars}
    for generation in generations:
        named |= {generation.listing, *tables_of(store, generation)}
    orphans += [key for key in candidates if key not in named]
    for key in orphans:
        store.delete(key)
    store.sweep()
    return list(commits.values())


def is_finished(store: ObjectStore) -> bool:
    """Whether there is a manifest, damaged or not."""
    try:
        store.stat(MANIFEST_KEY)
    except FileNotFoundError:
        return False
    return True


def read_manifest(store: ObjectStore) -> dict[str, Any] | None:
    """The manifest, None where the run is not complete; `StoreError` when it is damaged."""
    return read_document(store, MANIFEST_KEY)


def _document(
    generations: Sequence[Generation],
    commits: Mapping[ShardId, Commit],
    parts: Sequence[Part],
    tars: Sequence[Part],
) -> bytes:
    document = {
        "run_id": generations[0].run_id,
        "generations": len(generations),
        "shards": len(commits),
        "rows": sum(part.rows for part in parts),
        "spent_flops": sum(commit.flops for commit in commits.values()),
        "parts": [dataclasses.asdict(part) for part in parts],
        "tars": [dataclasses.asdict(tar) for tar in tars],
    }
    return (json.dumps(document, indent=1) + "\n").encode()
