"""What to do about damaged files of an output, and how reading one that is Parquet fails: always in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from arm_batch.errors import StoreError
from arm_batch.storage.base import ObjectStore

REPAIR = "`arm-batch verify` tells all that is damaged, `arm-batch upscale ... --repair` does it again"
"""What helps where OUTPUT can be made from INPUT once more."""

LOST = "nothing else holds what it says: put the file back from a copy, or begin in a new OUTPUT"
"""What helps with what a run set out to do."""


@contextmanager
def damage_told(store: ObjectStore, key: str, remedy: str) -> Iterator[None]:
    """Turn whatever a missing or damaged Parquet file raises into a `StoreError` that names it.

    Args:
        store: where it lies.
        key: of it.
        remedy: what a user can do about it.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{store.url}/{key} is missing; {remedy}") from error
    except PermissionError as error:
        raise StoreError(str(error)) from error
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError) as error:
        # Arrow's own errors, and what its values raise on their way to Python: bytes that are no text, nulls.
        told = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{store.url}/{key} is damaged: {told[:300]}; {remedy}") from error
