"""What follows from bytes alone is worked out once.

Every command reads the whole output anew, and most of it is as it was one command before. So functions that are
pure give what they gave before for the very same bytes. What lies where, and what its bytes are, is always looked
at.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch.core.json_records import decode_record
from arm_batch.errors import StoreError
from arm_batch.images.decode import decode
from arm_batch.runstate import listing, plan_files
from arm_batch.runstate.allocation import allocation_key, read_allocation
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.shard_plan import Shard
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.tables import read_tables

T = TypeVar("T")

KEPT = 1024
"""Results of one function: more than a sequence has different files."""


def remembered(function: Callable[..., T]) -> Callable[..., T]:
    """A pure function of hashable arguments whose results nobody changes; what it raises it raises anew."""
    return functools.lru_cache(KEPT)(function)


class _OfOneFile:
    """A function of a store that reads one file of it, and is pure but for that.

    Args:
        function: of the store and more.
        key: of the file, by the other arguments.
    """

    def __init__(self, function: Callable[..., Any], key: Callable[..., str]) -> None:
        self._function = function
        self._key = key
        self._known: dict[tuple[bytes, str, str], Any] = {}

    def __call__(self, store: ObjectStore, *arguments: Any) -> Any:
        """What the function gives."""
        data = _read(store, self._key(*arguments))
        if data is None:
            return self._function(store, *arguments)
        # Equal arguments are spelled the same, and not all of them can be hashed.
        known = (data, store.url, repr(arguments))
        if known not in self._known:
            if len(self._known) == KEPT:
                self._known.clear()
            self._known[known] = self._function(_Once(store.url, data), *arguments)
        return self._known[known]


class _Once:
    """A store of what was read of it."""

    def __init__(self, url: str, data: bytes) -> None:
        self.url = url
        self._data = data

    def read(self, key: str) -> bytes:
        """See `ObjectStore`."""
        del key
        return self._data


def _read(store: ObjectStore, key: str) -> bytes | None:
    """None where the real function is to tell what is wrong."""
    try:
        return store.read(key)
    except (StoreError, OSError):
        return None


def _read_allocation(store: ObjectStore, generation: Generation, revision: int = 0) -> Any:
    """As the real one, which reads a record and the tables that it names."""
    data = _read(store, allocation_key(generation, revision))
    place = (store.url, generation.number, revision)
    seen, of, tables, named, found = _allocations.get(place, (None,) * 5)
    if data is None or data != seen or generation != of or _read(store, named) != tables:
        found = read_allocation(store, generation, revision)
        if data is not None:
            named = json.loads(data)["tables"]
            _allocations[place] = data, generation, _read(store, named), named, found
    return found and (found[0], list(found[1]))


_allocations: dict[tuple[str, int, int], Any] = {}

_real_read_shards = listing.read_shards


def _all_shards(store: ObjectStore, generation: Generation) -> list[Shard]:
    return list(_real_read_shards(store, generation))


_real_read_table = pq.read_table


def _read_table(source: Any, **options: Any) -> pa.Table:
    if not isinstance(source, pa.BufferReader):
        return _real_read_table(source, **options)
    columns = options.pop("columns", None)
    return _table_of(source.read(), None if columns is None else tuple(columns), **options)


@remembered
def _table_of(data: bytes, columns: tuple[str, ...] | None, **options: Any) -> pa.Table:
    wanted = None if columns is None else list(columns)
    return _real_read_table(pa.BufferReader(data), columns=wanted, use_threads=False, **options)


_OTHERS: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = (
    (decode_record, remembered(decode_record)),
    (decode, remembered(decode)),
    (read_tables, _OfOneFile(read_tables, lambda key, _: key)),
    (read_allocation, _read_allocation),
    (plan_files.read_plan, _OfOneFile(plan_files.read_plan, plan_files.plan_key)),
    (listing._open_listing, _OfOneFile(listing._open_listing, lambda generation: generation.listing)),
    (
        listing.read_shards,
        _OfOneFile(_all_shards, lambda generation: generation.listing),
    ),
)
"""Functions of the package, and what stands for them."""


@functools.cache
def _places() -> list[tuple[ModuleType, str, Callable[..., Any]]]:
    """Where the package has names for them."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("arm_batch.")]
    return [
        (module, function.__name__, other)
        for function, other in _OTHERS
        for module in modules
        if getattr(module, function.__name__, None) is function
    ]


@contextmanager
def remembering() -> Iterator[None]:
    """While the block runs, records, tables and pictures of the same bytes are decoded once."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, other in _places():
            patch.setattr(module, name, other)
        patch.setattr(pq, "read_table", _read_table)
        yield
