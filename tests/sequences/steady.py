"""A process in which the same steps leave the same bytes: nothing of chance, time or place gets into an output.

Hypothesis takes for granted that what it has drawn decides what comes of it.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import arm_batch.pipeline.clock as clock_module


@contextmanager
def steady() -> Iterator[None]:
    """While the block runs, ids follow one upon the other from the same start, and clocks stand still."""
    numbers = itertools.count()
    # Of the same length as those of chance, and in no order, as those are.
    draws = (uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: next(draws))
        patch.setattr(clock_module, "time", SimpleNamespace(monotonic=lambda: 0.0))
        yield


@contextmanager
def same_folder() -> Iterator[Path]:
    """An empty folder, the same one each time in a process: documents hold the places of INPUT and OUTPUT."""
    root = _folder() / "sequence"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        yield root
    finally:
        shutil.rmtree(_folder(), ignore_errors=True)


@functools.cache
def _folder() -> Path:
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="arm-batch-", dir=shared if shared.is_dir() else None))
