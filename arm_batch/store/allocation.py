"""The allocation of a generation as it lies in OUTPUT: made once, shared by every worker and every resume."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

from arm_batch.core.allocate import Allocation, Counts
from arm_batch.errors import StoreError
from arm_batch.store.generation import Generation, generation_prefix
from arm_batch.store.objects import ObjectStore


@dataclass(frozen=True)
class Verdict:
    """What the budget of a generation came to.

    Attributes:
        allocation: over the archive.
        total: FLOPs that may be spent.
        full: FLOPs of the largest subnet everywhere.
        costs: FLOPs of one tile by subnet, ``(n_subnets,)``.
        psnr_predicted_db: from the pooled predicted error; ``None`` when no image could be read.
    """

    allocation: Allocation
    total: int
    full: int
    costs: tuple[int, ...]
    psnr_predicted_db: float | None


def allocation_key(generation: Generation) -> str:
    """Where the allocation of a generation lies."""
    return f"{generation_prefix(generation.number)}allocation.json"


def read_allocation(store: ObjectStore, generation: Generation) -> tuple[Verdict, Counts] | None:
    """The allocation of a generation and the histograms it was made for, ``None`` before there is one.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    key = allocation_key(generation)
    document = _read_document(store, generation)
    if document is None:
        return None
    try:
        tiles = np.array(document["tiles"], np.int64)
        verdict = Verdict(
            Allocation(tiles, int(document["spend"]), float(document["price"])),
            total=int(document["budget_flops"]),
            full=int(document["full_flops"]),
            costs=tuple(int(cost) for cost in document["costs"]),
            psnr_predicted_db=document["psnr_predicted_db"],
        )
        histograms: Counts = np.load(io.BytesIO(store.read(document["histograms"])), allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{store.url}/{key} or its histograms are damaged: {error}") from error
    if histograms.shape != (generation.shards, len(tiles)) or (histograms.sum(axis=0) != tiles.sum(axis=1)).any():
        raise StoreError(f"{store.url}/{key} does not fit its histograms")
    return verdict, histograms


def histograms_of(store: ObjectStore, generation: Generation) -> str | None:
    """Key of the histograms that the allocation of a generation names, ``None`` before there is one."""
    document = _read_document(store, generation)
    return None if document is None else str(document.get("histograms"))


def write_allocation(
    store: ObjectStore, generation: Generation, verdict: Verdict, histograms: Counts
) -> tuple[Verdict, Counts]:
    """Write an allocation down, unless there is one; returns the one that counts."""
    attempt = uuid.uuid4().hex
    buffer = io.BytesIO()
    np.save(buffer, histograms)
    histograms_key = f"{generation_prefix(generation.number)}histograms-{attempt}.npy"
    document = {
        "run_id": generation.run_id,
        "attempt": attempt,
        "histograms": histograms_key,
        "budget_flops": verdict.total,
        "full_flops": verdict.full,
        "costs": verdict.costs,
        "psnr_predicted_db": verdict.psnr_predicted_db,
        "spend": verdict.allocation.spend,
        "price": verdict.allocation.price,
        "tiles": verdict.allocation.tiles.tolist(),
    }
    store.write(histograms_key, buffer.getvalue())
    if store.create(allocation_key(generation), (json.dumps(document, indent=1) + "\n").encode()):
        return verdict, histograms
    store.delete(histograms_key)
    found = read_allocation(store, generation)
    if found is None:
        raise StoreError(f"{store.url}/{allocation_key(generation)} was there and is gone")
    return found


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
