"""Records of attempts as they lie in OUTPUT.

They are for people and for `arm-batch status` and `report`: no run goes by them. Whoever makes an attempt writes
its record, and nobody else does, so that no two writers meet.
"""

from __future__ import annotations

from arm_batch.core.attempts import Attempt
from arm_batch.core.json_records import encode_record
from arm_batch.errors import NewerError, StoreError
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.json_documents import read_record

ATTEMPTS = "attempts/"


def attempt_key(attempt: str) -> str:
    """Where the record of an attempt lies."""
    return f"{ATTEMPTS}{attempt}.json"


def write_attempt(store: ObjectStore, attempt: Attempt) -> None:
    """Write the record of an attempt, in place of what it said before; `StoreError` where that fails."""
    store.write(attempt_key(attempt.attempt), encode_record(attempt))


def read_attempts(store: ObjectStore) -> list[Attempt]:
    """The records that can be read, by start; `StoreError` where the store cannot be.

    A damaged one is left out: nothing depends on it, and nothing is to fail for it.
    """
    found = []
    for info in list(store.list(ATTEMPTS)):
        try:
            record = read_record(store, info.key, Attempt)
        except (StoreError, NewerError):
            continue
        if record is not None:
            found.append(record)
    return sorted(found, key=lambda attempt: (attempt.started, attempt.attempt))
