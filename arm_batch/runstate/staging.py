"""Image files on their way to their place: an attempt writes them aside, and its commit moves them.

What lies under `IMAGES` before a shard is committed may be of another allocation, another source or another
attempt, and must never be taken for the shard's own. So no attempt looks at it: it writes into a folder of its
own, its commit record names that folder, and only what a record names is moved to its place. Whoever comes first
after the commit may move it, and again: the folder of one attempt holds one content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from arm_batch.errors import StoreError
from arm_batch.runstate.commit import Commit, read_commit
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.storage.base import ObjectInfo, ObjectStore, checked_key

IMAGES = "images/"
"""Folder of the output that holds images as files of their own."""

STAGING = "staging/"
"""Folder of the output for images whose shard is not committed yet."""

_AT_ONCE = 16
"""Requests: over S3 each waits for the network."""


def staging_folder(shard: ShardId, attempt: str) -> str:
    """The folder, under `STAGING`, of one attempt at a shard; commit records name it.

    >>> staging_folder(ShardId(0, 12), "a1")
    'g0000-000012-a1'
    """
    return f"{str(shard).replace('/', '-')}-{attempt}"


def staged_key(folder: str, output: str) -> str:
    """Where an image is written to that is to become ``images/OUTPUT``; `StoreError` when that is no sound key."""
    return f"{STAGING}{folder}/{checked_key(output)}"


def split_staged(key: str) -> tuple[str, str] | None:
    """Folder and final key of what `staged_key` made; None for any other key.

    >>> split_staged("staging/g0000-000012-a1/sea/1.png")
    ('g0000-000012-a1', 'images/sea/1.png')
    """
    folder, separator, output = key.removeprefix(STAGING).partition("/")
    return (folder, IMAGES + output) if key.startswith(STAGING) and separator else None


def publish(store: ObjectStore, commit: Commit) -> None:
    """Move all images that a commit record stands for to their places.

    May be repeated, and done by several at once.

    Raises:
        StoreError: the store cannot be read or written.
    """
    _move(store, [info for folder in commit.staged for info in store.list(f"{STAGING}{folder}/")])


def publish_waiting(store: ObjectStore) -> list[str]:
    """Move all images whose shards are committed, which a kill has kept from it; returns the keys of all others.

    Those belong to attempts under way, or to ones that came to nothing.

    Raises:
        StoreError: the store cannot be read or written, or a record is damaged.
    """
    folders: dict[str, list[ObjectInfo]] = {}
    others: list[str] = []
    for info in store.list(STAGING):
        place = split_staged(info.key)
        if place is None:
            others.append(info.key)
        else:
            folders.setdefault(place[0], []).append(info)
    for folder, infos in folders.items():
        shard = _shard_of(folder)
        commit = None if shard is None else read_commit(store, shard)
        if commit is not None and folder in commit.staged:
            _move(store, infos)
        else:
            others += [info.key for info in infos]
    return others


def staged_of(store: ObjectStore, commits: Iterable[Commit]) -> Mapping[str, str]:
    """The images of these commits that are not yet at their places: where they lie, by where they belong."""
    named = {folder for commit in commits for folder in commit.staged}
    places = ((split_staged(info.key), info.key) for info in store.list(STAGING))
    return {place[1]: key for place, key in places if place is not None and place[0] in named}


def discard(store: ObjectStore, folders: Iterable[str]) -> None:
    """Remove what attempts wrote that did not come first."""
    for folder in folders:
        for info in store.list(f"{STAGING}{folder}/"):
            store.delete(info.key)


def _move(store: ObjectStore, infos: list[ObjectInfo]) -> None:
    def move(info: ObjectInfo) -> None:
        place = split_staged(info.key)
        assert place is not None
        # Another one may have moved it meanwhile.
        with suppress(FileNotFoundError):
            store.move(info, place[1])

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            list(threads.map(move, infos))
        except PermissionError as error:
            raise StoreError(str(error)) from error


def _shard_of(folder: str) -> ShardId | None:
    match = re.fullmatch(r"g(\d{4,})-(\d{6,})-[A-Za-z0-9_-]+", folder)
    return None if match is None else ShardId(int(match[1]), int(match[2]))
