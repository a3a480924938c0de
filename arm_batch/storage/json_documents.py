"""Records of all kinds as small JSON objects in a store."""

from __future__ import annotations

from arm_batch.core.json_records import AnyRecord, decode_record
from arm_batch.errors import StoreError
from arm_batch.storage.base import ObjectStore


def read_record(store: ObjectStore, key: str, kind: type[AnyRecord]) -> AnyRecord | None:
    """A record, ``None`` where there is none.

    Raises:
        StoreError: it is damaged or forbidden, or the store cannot be reached.
    """
    try:
        data = store.read(key)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StoreError(f"{store.url}/{key} cannot be read: {error}") from error
    return decode_record(data, kind, f"{store.url}/{key}", StoreError)
