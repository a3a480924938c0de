"""Documents with other values and a checksum that fits, and as they were before there were formats."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def resealed(document: dict[str, Any]) -> bytes:
    """As it would have been written with these values."""
    values = {name: value for name, value in document.items() if name != "checksum"}
    told = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return json.dumps({**values, "checksum": hashlib.sha256(told.encode()).hexdigest()}).encode()


def changed(data: bytes, **values: Any) -> bytes:
    """With these values in the place of its own."""
    return resealed(json.loads(data) | values)


def of_before(data: bytes) -> bytes:
    """Without a format and a checksum."""
    document = json.loads(data)
    del document["format"], document["checksum"]
    return json.dumps(document).encode()
