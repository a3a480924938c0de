"""Generations: what a run set out to do, fixed before the first image is read.

A run begins with generation 0, the images that INPUT held then. Images that came later (``--extend``) and failed
images that are tried again (``--retry-failed``) are further generations of the same run, each with its own
listing, plan, allocation and budget. Nothing of a generation is ever changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.json_records import Count, Index, Key, Name, Record, encode_record
from arm_batch.errors import BudgetError, StoreError
from arm_batch.runstate.commit import COMMITS
from arm_batch.runstate.damage import LOST
from arm_batch.runstate.listing_table import encode_listing
from arm_batch.runstate.shard_plan import PLAN, Shard
from arm_batch.storage.base import ObjectStore, is_safe_key
from arm_batch.storage.json_documents import read_record

Kind = Literal["initial", "extend", "retry", "plan"]
"""``plan`` is what a dry run leaves for a run to begin with: a generation 0 that is never allocated."""


class Generation(Record, frozen=True):
    """The record of a generation.

    Attributes:
        number: from 0.
        kind: why there is one.
        run_id: of the run; the same in all its generations.
        settings: that decide the output, see `JobSpec.settings`.
        attempt: of whoever created it.
        listing: key of the Parquet file that lists its inputs.
        images: inputs in it.
        shards: that they are divided into.
        cap_flops: upper bound on its FLOPs beside the budget of the settings; None for none.
    """

    what: ClassVar[str] = "the record of a generation"
    remedy: ClassVar[str] = LOST
    format: ClassVar[int] = 1

    number: Index
    kind: Kind
    run_id: Name
    settings: dict[str, str]
    attempt: Name
    listing: Key
    images: Index
    shards: Index
    cap_flops: Count | None

    def check(self) -> None:
        """See `Record`."""
        if self.shards > self.images:
            raise ValueError(f"{self.shards:,} shards cannot be made of {self.images:,} images")
        if (self.number == 0) != (self.kind in ("initial", "plan")):
            raise ValueError(f"at `$.kind`: generation {self.number} cannot be {self.kind}")
        if self.kind != "plan":
            _check_budget(self.settings.get("budget"))
        if not self.listing.startswith(generation_prefix(self.number)) or not is_safe_key(self.listing):
            raise ValueError("at `$.listing`: expected a file of the same generation")

    @property
    def name(self) -> str:
        """Such as ``g0000``."""
        return f"g{self.number:04d}"


def _check_budget(text: str | None) -> None:
    if text is None:
        raise ValueError("at `$.settings`: the budget is missing")
    try:
        parse_budget(text)
    except BudgetError as error:
        raise ValueError(f"at `$.settings.budget`: {error}") from error


def generation_prefix(number: int) -> str:
    """What all keys of a generation's plan begin with."""
    return f"{PLAN}g{number:04d}/"


def _record_key(number: int) -> str:
    return f"{generation_prefix(number)}generation.json"


def _listing_prefix(number: int) -> str:
    return f"{generation_prefix(number)}listing-"


def list_generations(store: ObjectStore) -> list[Generation]:
    """All generations of the run in `store`, in order; none where there is no run.

    Raises:
        StoreError: a record is damaged or missing, or the store cannot be reached.
    """
    found: list[Generation] = []
    for number in itertools.count():
        generation = _read(store, number)
        if generation is None:
            _check_end(store, number)
            return found
        found.append(generation)
    raise AssertionError("unreachable")


def _read(store: ObjectStore, number: int) -> Generation | None:
    key = _record_key(number)
    generation = read_record(store, key, Generation)
    if generation is not None and generation.number != number:
        raise StoreError(f"{store.url}/{key} is the record of {generation.name}; {LOST}")
    return generation


def _check_end(store: ObjectStore, number: int) -> None:
    """Refuse a hole: without the record of a generation nobody knows what its rows and plans belong to."""
    for later in (number, number + 1):
        for prefix in (generation_prefix(later), f"{COMMITS}g{later:04d}/"):
            for info in store.list(prefix):
                # What a process leaves that was killed before its generation had a record, or after.
                if later > number or not info.key.startswith(_listing_prefix(number)):
                    raise StoreError(
                        f"{store.url}/{_record_key(number)} is missing, but {info.key} is there; {LOST}"
                    )


def create_generation(
    store: ObjectStore,
    kind: Kind,
    number: int,
    run_id: str,
    settings: dict[str, str],
    shards: Sequence[Shard],
    attempt: str,
    cap_flops: int | None = None,
) -> Generation:
    """Fix what a generation is to do, unless somebody did already; returns the one that counts.

    The listing goes first, under a name of its own; then the record that names it, put-if-absent.

    Raises:
        StoreError: the store cannot be written.
    """
    listing = f"{_listing_prefix(number)}{attempt}.parquet"
    images = sum(len(shard.entries) for shard in shards)
    generation = Generation(number, kind, run_id, settings, attempt, listing, images, len(shards), cap_flops)
    store.write(listing, encode_listing(shards))
    if store.create(_record_key(number), encode_record(generation)):
        return generation
    store.delete(listing)
    return list_generations(store)[number]


def check_kept(store: ObjectStore, generation: Generation) -> None:
    """Say so where another driver has discarded a generation, since no plan met its budget.

    Raises:
        StoreError: its record is gone, or is another's now.
    """
    now = _read(store, generation.number)
    if now is None or now.attempt != generation.attempt:
        raise StoreError(f"{store.url}: another job has just given up {generation.name}: start again")


def discard_generation(store: ObjectStore, generation: Generation) -> None:
    """Remove all of a generation that nothing is committed of; its record and its listing last, in this order.

    Broken off before, it is there still and can be discarded again; after, nothing is left that counts. As long as
    its record is there, another driver may plan it once more, so it is looked through again.
    """
    prefix, record = generation_prefix(generation.number), _record_key(generation.number)
    listing = _listing_prefix(generation.number)
    while keys := [k for k in _keys(store, prefix) if k != record and not k.startswith(listing)]:
        for key in keys:
            store.delete(key)
    # Not once more after it: another generation of this number may have begun by then.
    for key in [record, *_keys(store, listing)]:
        store.delete(key)


def _keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in store.list(prefix)]
