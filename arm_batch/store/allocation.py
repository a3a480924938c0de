"""The allocation of a generation as it lies in OUTPUT: made once, shared by every worker and every resume."""

from __future__ import annotations

import io
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
from arm_batch.errors import StoreError
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
        forecast: of a budget of time; ``None`` for others.
    """

    allocation: Allocation
    census: Census
    total: int
    full: int
    costs: tuple[int, ...]
    quality: Quality | None
    forecast: Forecast | None = None


def allocation_key(generation: Generation) -> str:
    """Where the allocation of a generation lies."""
    return f"{generation_prefix(generation.number)}allocation.json"


def tables_prefix(number: int) -> str:
    """What the keys of the tables of a generation's allocation begin with."""
    return f"{generation_prefix(number)}tables-"


def read_allocation(store: ObjectStore, generation: Generation) -> tuple[Verdict, list[ShardCensus]] | None:
    """The allocation of a generation and the census of each of its shards, ``None`` before there is one.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    key = allocation_key(generation)
    document = _read_document(store, generation)
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
            forecast=_read_forecast(document.get("forecast")),
        )
        parts = _unpack(tables)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{store.url}/{key} or its tables are damaged: {error}") from error
    counted = np.zeros(verdict.census.tiles.size, np.int64)
    for part in parts:
        counted[part.cells] += part.tiles
    if len(parts) != generation.shards or (counted != verdict.census.tiles.ravel()).any():
        raise StoreError(f"{store.url}/{key} does not fit its tables")
    return verdict, parts


def tables_of(store: ObjectStore, generation: Generation) -> str | None:
    """Key of the tables that the allocation of a generation names, ``None`` before there is one."""
    document = _read_document(store, generation)
    return None if document is None else str(document.get("tables"))


def write_allocation(
    store: ObjectStore, generation: Generation, verdict: Verdict, parts: Sequence[ShardCensus]
) -> tuple[Verdict, list[ShardCensus]]:
    """Write an allocation down, unless there is one; returns the one that counts."""
    attempt = uuid.uuid4().hex
    tables_key = f"{tables_prefix(generation.number)}{attempt}.npz"
    document = {
        "run_id": generation.run_id,
        "attempt": attempt,
        "tables": tables_key,
        "budget_flops": verdict.total,
        "full_flops": verdict.full,
        "costs": verdict.costs,
        "quality": None if verdict.quality is None else asdict(verdict.quality),
        "forecast": None if verdict.forecast is None else asdict(verdict.forecast),
        "spend": verdict.allocation.spend,
        "price": verdict.allocation.price,
        "subnet_tiles": verdict.allocation.tiles.sum(axis=(0, 1)).tolist(),
    }
    store.write(tables_key, _pack(verdict, parts))
    if store.create(allocation_key(generation), (json.dumps(document, indent=1) + "\n").encode()):
        return verdict, list(parts)
    store.delete(tables_key)
    found = read_allocation(store, generation)
    if found is None:
        raise StoreError(f"{store.url}/{allocation_key(generation)} was there and is gone")
    return found


def _pack(verdict: Verdict, parts: Sequence[ShardCensus]) -> bytes:
    """Everything of an allocation that is an array; what the shards have, one after the other."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
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


def _read_document(store: ObjectStore, generation: Generation) -> dict[str, Any] | None:
    key = allocation_key(generation)
    try:
        document = json.loads(store.read(key))
        if not isinstance(document, dict):
            raise ValueError("not an object")
        return document
    except FileNotFoundError:
        return None
    except (PermissionError, ValueError) as error:
        raise StoreError(f"{store.url}/{key} cannot be read: {error}") from error
