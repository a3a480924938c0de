"""The libraries that run models of the user's: an extra, which is asked for in one line where it is missing."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from arm_batch.errors import UsageError

_TORCHVISION = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


def load_extra(name: str) -> Any:
    """A library of the extra ``models``.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    try:
        return _load_spandrel() if name == "spandrel" else importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        told = "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not load ({error})"
        raise UsageError(
            f"{name}, which models of your own need, {told}: `pip install 'arm-batch[models]'`"
        ) from error


def _load_spandrel() -> Any:
    if "spandrel" in sys.modules or _torchvision_loads():
        return importlib.import_module("spandrel")
    # Only a face restorer and an inpainter of spandrel's use torchvision, and neither is a rung. Its usual builds
    # do not load beside a torch for CPUs.
    added = [name for name in _TORCHVISION if name not in sys.modules]
    for name in added:
        sys.modules[name] = _Nothing(name)
    try:
        return importlib.import_module("spandrel")
    finally:
        for name in added:
            del sys.modules[name]


class _Nothing(ModuleType):
    """Stands for a module of which nothing is used."""

    def __getattr__(self, name: str) -> None:
        return None


def _torchvision_loads() -> bool:
    try:
        importlib.import_module("torchvision")
    except Exception:
        # One that is built for another torch fails in many ways.
        return False
    return True
