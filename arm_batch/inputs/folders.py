"""Walking the folder that an archive is in: links, rings, odd names, and what may not be read."""

from __future__ import annotations

import errno
import heapq
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from arm_batch.errors import InputError, StoreError
from arm_batch.inputs.paths import shown
from arm_batch.storage.base import ObjectInfo, is_safe_key
from arm_batch.storage.local import file_info
from arm_batch.storage.local_files import kind_of


@dataclass(kw_only=True)
class Walk:
    """What there is in a folder.

    Attributes:
        infos: its files, sorted by key.
        problems: path and reason of files and folders that cannot be read.
        hidden: files and folders whose names begin with a dot.
        links: a line for each link to a folder that was listed already.
    """

    infos: list[ObjectInfo] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    hidden: int = 0
    links: list[str] = field(default_factory=list)


def walk_folder(root: str, wanted: Callable[[str], bool]) -> Walk:
    """List a folder recursively; links are followed, and every folder is listed once.

    Folders themselves go before links to them, and short paths before long ones: whatever rings there are, a file
    has one path, always the same.

    Args:
        root: absolute path.
        wanted: whether a key is one to tell about when it cannot be read.

    Raises:
        InputError: `root` itself cannot be listed.
        StoreError: the disk fails.
    """
    return _Walker(root.rstrip("/"), wanted).run()


class _Walker:
    def __init__(self, root: str, wanted: Callable[[str], bool]) -> None:
        self._root = root
        self._wanted = wanted
        self._found = Walk()
        self._listed: dict[tuple[int, int], str] = {}
        self._folders = deque([""])
        self._links: list[tuple[int, str]] = []

    def run(self) -> Walk:
        while self._folders or self._links:
            while self._folders:
                self._list(self._folders.popleft())
            if self._links:
                self._follow(heapq.heappop(self._links)[1])
        self._found.infos.sort(key=lambda info: info.key)
        self._found.problems.sort()
        return self._found

    def _follow(self, key: str) -> None:
        stat = self._stat(key)
        if stat is None:
            return
        before = self._listed.get((stat.st_dev, stat.st_ino))
        if before is None:
            self._list(key)
        else:
            self._found.links.append(
                f"{shown(key)} is a link to {shown(before) or 'INPUT'}, which is taken already"
            )

    def _list(self, folder: str) -> None:
        try:
            stat = os.stat(self._path(folder))  # noqa: PTH116 - a Path a file doubles the time of a listing
            with os.scandir(self._path(folder)) as entries:
                children = list(entries)
        except FileNotFoundError:
            # Gone since its parent was listed.
            return
        except OSError as error:
            self._refuse(folder, error)
            return
        self._listed[stat.st_dev, stat.st_ino] = folder
        for child in children:
            if child.name.startswith("."):
                self._found.hidden += 1
            else:
                self._note(child, f"{folder}/{child.name}" if folder else child.name)

    def _note(self, child: os.DirEntry[str], key: str) -> None:
        if child.is_dir(follow_symlinks=False):
            self._folders.append(key)
        elif child.is_symlink() and os.path.isdir(child.path):  # noqa: PTH112 - as above
            heapq.heappush(self._links, (key.count("/"), key))
        elif not is_safe_key(key):
            self._problem(key, "its name is not valid UTF-8: rename it")
        elif (stat := self._stat(key)) is not None:
            kind = kind_of(stat)
            if kind is None:
                self._found.infos.append(file_info(key, stat))
            else:
                # Reading from a pipe or a device might never end.
                self._problem(key, f"is {kind}, not a regular file")

    def _stat(self, key: str) -> os.stat_result | None:
        try:
            return os.stat(self._path(key))  # noqa: PTH116 - as above
        except FileNotFoundError:
            if os.path.islink(self._path(key)):  # noqa: PTH114 - as above
                self._problem(key, "is a link that leads nowhere")
        except OSError as error:
            self._problem(key, _reason(error, key))
        return None

    def _refuse(self, folder: str, error: OSError) -> None:
        if not folder:
            raise InputError(f"{self._root}: {_reason(error, self._root)}") from error
        reason = _reason(error, folder)
        self._found.problems.append((_readable(folder), f"this folder cannot be listed: {reason}"))

    def _problem(self, key: str, reason: str) -> None:
        if self._wanted(key):
            self._found.problems.append((_readable(key), reason))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root or "/"


def _reason(error: OSError, where: str) -> str:
    """What a file or folder suffers from; an error that is not its own is raised."""
    if isinstance(error, PermissionError):
        return "permission denied"
    if error.errno in (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR):
        return str(error.strerror).lower()
    raise StoreError(f"{where}: {error.strerror or error}") from error


def _readable(key: str) -> str:
    """A name that is not valid UTF-8, with its bytes as escapes."""
    return os.fsencode(key).decode(errors="backslashreplace")
