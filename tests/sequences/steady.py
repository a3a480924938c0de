"""A process in which the same steps leave the same bytes: nothing of chance, time or place gets into an output.

Hypothesis takes for granted that what it has drawn decides what comes of it.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch

import arm_batch.pipeline.clock as clock_module
import arm_batch.report as report_module


@contextmanager
def steady() -> Iterator[None]:
    """While the block runs, ids follow one upon the other from the same start, and clocks stand still."""
    numbers = itertools.count()
    # Of the same length as those of chance, and in no order, as those are.
    draws = (uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: next(draws))
        patch.setattr(clock_module, "time", SimpleNamespace(monotonic=lambda: 0.0))
        patch.setattr(clock_module, "datetime", SimpleNamespace(now=_new_year))
        yield


def _new_year(zone: tzinfo) -> datetime:
    return datetime(2026, 1, 1, tzinfo=zone)


class _Serial:
    """Stands for `ThreadPoolExecutor`: one after the other, and no time for threads."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> _Serial:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> Iterator[Any]:
        """In order."""
        return iter([function(*each) for each in zip(*items, strict=True)])


@functools.cache
def _threaded() -> list[ModuleType]:
    """The modules that start threads."""
    modules = (module for name, module in list(sys.modules.items()) if name.startswith("arm_batch."))
    return [module for module in modules if hasattr(module, "ThreadPoolExecutor")]


@contextmanager
def one_thread() -> Iterator[None]:
    """While the block runs, no time goes into threads, into fsync, or into what this process is made of.

    What SIGKILL leaves needs no fsync; only a power cut would.
    """
    arrow, torch_threads = pa.cpu_count(), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        for module in _threaded():
            patch.setattr(module, "ThreadPoolExecutor", _Serial)
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(report_module, "_version", _version)
        pa.set_cpu_count(1)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            pa.set_cpu_count(arrow)
            torch.set_num_threads(torch_threads)


_version = functools.cache(report_module._version)


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
