"""Small JSON objects in a store: records of all kinds."""

from __future__ import annotations

import json
from typing import Any

from arm_batch.errors import StoreError
from arm_batch.store.objects import ObjectStore


def read_document(store: ObjectStore, key: str) -> dict[str, Any] | None:
    """A JSON object, ``None`` where there is none.

    Raises:
        StoreError: it is damaged or forbidden, or the store cannot be reached.
    """
    try:
        document = json.loads(store.read(key))
        if not isinstance(document, dict):
            raise ValueError("not an object")
        return document
    except FileNotFoundError:
        return None
    except (PermissionError, ValueError) as error:
        raise StoreError(f"{store.url}/{key} cannot be read: {error}") from error
