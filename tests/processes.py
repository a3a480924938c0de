"""Processes that tests look for, to end them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RayWorker:
    """A process of Ray's that runs tasks or an actor; `name` is what it runs, `raylet` its parent's process id."""

    pid: int
    raylet: int
    name: str


def ray_workers() -> Iterator[RayWorker]:
    """All of this machine; those that end meanwhile are left out."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith("ray::"):
            yield RayWorker(int(folder.name), parent, title.removeprefix("ray::"))
