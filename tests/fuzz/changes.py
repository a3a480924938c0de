"""Broken documents made from sound ones, by a seed: JSON, arrays and tables by structure, all by their bytes."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arm_batch.storage.tables import Tables
from tests.fuzz.mutate import mutate
from tests.sealed import resealed

DEPTH = 100_000
"""Brackets: far more than any parser follows."""

_RAW = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "[" * DEPTH, '{"a":' * 2000 + "1" + "}" * 2000)
"""Values as JSON spells them, or as it does not."""

_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 1.5, -1e300, 2**31, 2**53, 2**63, 10**25, 10**39),
    *("", "x", "../x", "g0000/000000", "\x00", "ü" * 3000, [], [[]], [1, "a"], {}, {"a": {}}),
)

_PLACEHOLDER = "@raw@"


def change(key: str, data: bytes, rng: random.Random) -> bytes:
    """One change to a document.

    Args:
        key: of it; its extension says what it is.
        data: the document, sound.
        rng: decides.
    """
    kind = key.rpartition(".")[2]
    by_structure = _STRUCTURES.get(kind)
    if by_structure is not None and rng.random() < 0.7:
        return by_structure(data, rng)
    return rng.choice(_BYTES)(data, rng)


def _change_json(data: bytes, rng: random.Random) -> bytes:
    document = json.loads(data)
    holder, place = _choose(document, rng)
    if holder is None:
        return json.dumps(rng.choice(_VALUES)).encode()
    way = rng.randrange(6)
    if way == 0:
        del holder[place]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(("more", "format", place + " "))] = rng.choice(_VALUES)
    elif way == 2:
        holder[place] = _PLACEHOLDER
        return json.dumps(document).replace(f'"{_PLACEHOLDER}"', rng.choice(_RAW)).encode()
    elif way == 3 and isinstance(holder, dict):
        twice = json.dumps({place: holder[place]})[1:-1]
        holder[place] = _PLACEHOLDER
        spelled = f'{json.dumps(place)}: "{_PLACEHOLDER}"'
        return json.dumps(document).replace(spelled, f"{twice}, {twice}").encode()
    elif way == 4:
        other, elsewhere = _choose(document, rng)
        holder[place] = None if other is None else copy.deepcopy(other[elsewhere])
    else:
        holder[place] = _near(holder[place], rng)
    # A checksum finds any change; most have one that fits, so that what they say is looked at too.
    fits = isinstance(document, dict) and "checksum" in document and rng.random() < 0.7
    return resealed(document) if fits else json.dumps(document).encode()


def _near(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int) and rng.random() < 0.5:
        return rng.choice((-value, value + 1, value - 1, 2 * value, float(value), str(value)))
    if isinstance(value, list) and value and rng.random() < 0.5:
        return rng.choice((value[:-1], value[::-1], [*value, value[0]]))
    return rng.choice(_VALUES)


def _choose(document: Any, rng: random.Random) -> tuple[Any, Any]:
    """A place somewhere in a document: what holds it, and its name or number there."""
    holder, place, value = None, None, document
    while isinstance(value, dict | list) and value and (holder is None or rng.random() < 0.7):
        holder = value
        place = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = value[place]
    return holder, place


def _change_arrays(data: bytes, rng: random.Random) -> bytes:
    arrays: dict[str, Any] = dict(np.load(io.BytesIO(data)))
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    ways: tuple[Callable[[], Any], ...] = (
        lambda: array.astype(np.float64) + np.nan,
        lambda: array.astype(object),
        lambda: array.astype(str),
        lambda: -array - 1,
        lambda: array[..., None],
        lambda: array.reshape(-1)[: max(0, array.size - 1)],
        lambda: np.concatenate([array.reshape(-1), array.reshape(-1)]),
        lambda: np.full_like(array, 2**62),
        lambda: np.zeros(0, array.dtype),
        lambda: np.where(np.arange(array.size).reshape(array.shape) == 0, array + 1, array),
        lambda: np.broadcast_to(np.int64(0), (2**24,)),
    )
    way = rng.randrange(len(ways) + 1)
    if way == len(ways):
        del arrays[name]
    else:
        arrays[name] = ways[way]()
    if rng.random() < 0.7:
        arrays["checksum"] = np.frombuffer(Tables(arrays, "", "").digest(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _change_table(data: bytes, rng: random.Random) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    place = rng.randrange(table.num_columns)
    field, column = table.schema.field(place), table.column(place)
    way = rng.randrange(4)
    if way == 0:
        table = table.remove_column(place)
    elif way == 1:
        table = table.set_column(place, pa.field(field.name, field.type), pa.nulls(len(table), field.type))
    elif way == 2:
        table = table.set_column(place, field.name, pa.array([str(value) for value in column.to_pylist()]))
    else:
        table = table.slice(0, rng.randrange(len(table) + 1))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"x"
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    lambda data, rng: data[: rng.randrange(len(data) + 1)],
    lambda data, rng: mutate(data, [data], rng),
    lambda data, rng: rng.choice((b"", b"\xff\xfe\x00", b"[" * DEPTH, b"null", data + data)),
)

_STRUCTURES = {"json": _change_json, "npz": _change_arrays, "parquet": _change_table}
