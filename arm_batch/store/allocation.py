"""The allocations of a generation as they lie in OUTPUT: made once, shared by every worker and every resume.

Epoch 0 is the allocation of the whole generation. Later epochs allocate anew to shards that have not begun, with
what failed images gave back or what was added to the budget.
"""

from __future__ import annotations

import io
import itertools
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from arm_batch.core.allocate import Allocation
from arm_batch.core.census import Census, ShardCensus
from arm_batch.core.objective import Quality
from arm_batch.core.timed import Forecast, PoolForecast
from arm_batch.core.waves import Waves
from arm_batch.errors import StoreError
from arm_batch.store.documents import read_document
from arm_batch.store.generation import Generation, generation_prefix
from arm_batch.store.objects import ObjectStore


@dataclass(frozen=True)
class Verdict:
    """What the budget of a generation came to.

    Attributes:
        allocation: over the generation.
        census: that it was made for.
        total: FLOPs that may be spent.
        full: FLOPs of the largest subnet everywhere.
        costs: FLOPs of one tile by subnet, ``(n_subnets,)``.
        quality: predicted; ``None`` when no image could be read.
        shards: numbers of the shards that it is for, ascending; for each the last epoch that names it counts.
        waves: of the generation, for the cluster that epoch 0 was made on; the same in all epochs.
        reason: what the epoch is for.
        forecast: of a budget of time; ``None`` for others.
    """

    allocation: Allocation
    census: Census
    total: int
    full: int
    costs: tuple[int, ...]
    quality: Quality | None
    shards: tuple[int, ...]
    waves: Waves
    reason: str = "plan"
    forecast: Forecast | None = None


def allocation_key(generation: Generation, epoch: int = 0) -> str:
    """Where an allocation of a generation lies."""
    name = "allocation.json" if epoch == 0 else f"epoch-{epoch:04d}.json"
    return f"{generation_prefix(generation.number)}{name}"


def tables_prefix(number: int) -> str:
    """What the keys of the tables of a generation's allocation begin with."""
    return f"{generation_prefix(number)}tables-"


def is_allocated(store: ObjectStore, generation: Generation) -> bool:
    """Whether there is an allocation of a generation, damaged or not."""
    try:
        store.stat(allocation_key(generation))
    except FileNotFoundError:
        return False
    return True


def read_epochs(store: ObjectStore, generation: Generation) -> list[Verdict]:
    """All allocations of a generation, in order; none before it is allocated.

    Raises:
        StoreError: a file of one is damaged or missing.
    """
    verdicts = []
    for epoch in itertools.count():
        found = read_allocation(store, generation, epoch)
        if found is None:
            break
        verdicts.append(found[0])
    return verdicts


def read_allocation(
    store: ObjectStore, generation: Generation, epoch: int = 0
) -> tuple[Verdict, list[ShardCensus]] | None:
    """An allocation of a generation, ``None`` before there is one; with that of epoch 0 the census of each shard.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    key = allocation_key(generation, epoch)
    document = read_document(store, key)
    if document is None:
        return None
    try:
        tables = np.load(io.BytesIO(store.read(document["tables"])), allow_pickle=False)
        allocation = Allocation(tables["allocation"], int(document["spend"]), float(document["price"]))
        quality = document["quality"]
        verdict = Verdict(
            allocation,
            Census(allocation.tiles.sum(axis=2), tables["images"], tables["pixels"]),
            total=int(document["budget_flops"]),
            full=int(document["full_flops"]),
            costs=tuple(int(cost) for cost in document["costs"]),
            quality=None if quality is None else Quality(**quality),
            shards=tuple(tables["shards"].tolist()),
            waves=_waves_of(document, generation),
            reason=str(document["reason"]),
            forecast=_read_forecast(document.get("forecast")),
        )
        parts = _unpack(tables)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{store.url}/{key} or its tables are damaged: {error}") from error
    if epoch == 0:
        counted = np.zeros(verdict.census.tiles.size, np.int64)
        for part in parts:
            counted[part.cells] += part.tiles
        if len(parts) != generation.shards or (counted != verdict.census.tiles.ravel()).any():
            raise StoreError(f"{store.url}/{key} does not fit its tables")
    return verdict, parts


def read_waves(store: ObjectStore, generation: Generation) -> Waves:
    """The waves of a generation that is allocated.

    Raises:
        StoreError: it is not, or its allocation is damaged.
    """
    key = allocation_key(generation)
    document = read_document(store, key)
    if document is None:
        raise StoreError(f"{store.url}/{key} is missing")
    try:
        return _waves_of(document, generation)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{store.url}/{key} is damaged: {error}") from error


def tables_of(store: ObjectStore, generation: Generation) -> set[str]:
    """Keys of the tables that the allocations of a generation name."""
    documents = (read_document(store, allocation_key(generation, epoch)) for epoch in itertools.count())
    return {str(document.get("tables")) for document in itertools.takewhile(bool, documents) if document}


def write_allocation(
    store: ObjectStore, generation: Generation, epoch: int, verdict: Verdict, parts: Sequence[ShardCensus]
) -> tuple[Verdict, list[ShardCensus]]:
    """Write the allocation of an epoch down, unless there is one; returns the one that counts.

    Args:
        store: the output.
        generation: whose allocation it is.
        epoch: its number.
        verdict: what to write.
        parts: the census of each shard, with epoch 0; the later ones go by that.
    """
    key = allocation_key(generation, epoch)
    attempt = uuid.uuid4().hex
    tables_key = f"{tables_prefix(generation.number)}{attempt}.npz"
    document = {
        "run_id": generation.run_id,
        "attempt": attempt,
        "reason": verdict.reason,
        "tables": tables_key,
        "budget_flops": verdict.total,
        "full_flops": verdict.full,
        "costs": verdict.costs,
        "quality": None if verdict.quality is None else asdict(verdict.quality),
        "forecast": None if verdict.forecast is None else asdict(verdict.forecast),
        "spend": verdict.allocation.spend,
        "price": verdict.allocation.price,
        "waves": verdict.waves.sizes,
        "subnet_tiles": verdict.allocation.tiles.sum(axis=(0, 1)).tolist(),
    }
    store.write(tables_key, _pack(verdict, parts))
    if store.create(key, (json.dumps(document, indent=1) + "\n").encode()):
        return verdict, list(parts)
    store.delete(tables_key)
    found = read_allocation(store, generation, epoch)
    if found is None:
        raise StoreError(f"{store.url}/{key} was there and is gone")
    return found


def _pack(verdict: Verdict, parts: Sequence[ShardCensus]) -> bytes:
    """Everything of an allocation that is an array; what the shards have, one after the other."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        shards=np.array(verdict.shards, np.int64),
        allocation=verdict.allocation.tiles,
        images=verdict.census.images,
        pixels=verdict.census.pixels,
        shard_cells=np.array([len(part.cells) for part in parts], np.int64),
        cells=_joined([part.cells for part in parts]),
        tiles=_joined([part.tiles for part in parts]),
        shard_classes=np.array([len(part.classes) for part in parts], np.int64),
        classes=_joined([part.classes for part in parts]),
        class_images=_joined([part.images for part in parts]),
        class_pixels=_joined([part.pixels for part in parts]),
    )
    return buffer.getvalue()


def _unpack(tables: Any) -> list[ShardCensus]:
    by_cell = np.cumsum(tables["shard_cells"])[:-1]
    by_class = np.cumsum(tables["shard_classes"])[:-1]
    columns = [np.split(tables[name], by_cell) for name in ("cells", "tiles")]
    columns += [np.split(tables[name], by_class) for name in ("classes", "class_images", "class_pixels")]
    return [ShardCensus(*values) for values in zip(*columns, strict=True)]


def _waves_of(document: dict[str, Any], generation: Generation) -> Waves:
    """The waves that an allocation names. Before they were written down, they followed from the shards alone."""
    if "waves" not in document:
        return Waves.even(generation.shards)
    waves = Waves(tuple(int(size) for size in document["waves"]))
    if min(waves.sizes, default=0) < 1 or waves.shards != generation.shards:
        raise ValueError(f"its waves are not of {generation.shards:,} shards")
    return waves


def _read_forecast(told: dict[str, Any] | None) -> Forecast | None:
    if told is None:
        return None
    pools = [
        PoolForecast(**{**pool, "seconds": tuple(pool["seconds"]), "tiles": tuple(pool["tiles"])})
        for pool in told["pools"]
    ]
    return Forecast(**{**told, "pools": tuple(pools)})


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *arrays]).astype(np.int64)
