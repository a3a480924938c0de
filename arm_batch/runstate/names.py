"""Names of the output images."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from arm_batch.core.image_options import AUTO
from arm_batch.images.formats import EXTENSION_FAMILY, FORMATS
from arm_batch.inputs.sources import EXTENSIONS, Entry

_MAX_NAME_BYTES = 255
"""Of one part of a path, on common file systems."""

_MAX_FOLDER_BYTES = 600
"""S3 has keys of 1,024 bytes, of which a name takes 255 and the prefix of OUTPUT some."""

_LAST_LEVEL = 3

_WRITTEN = frozenset(format.extension for format in FORMATS.values())
_LONGEST = max(map(len, _WRITTEN))


def output_names(entries: Sequence[Entry], format: str, taken: Collection[str] = ()) -> list[str]:
    """A path for the output of each entry, unique also where case and Unicode composition do not count.

    The extension is replaced. Names are unique without it, because planning may find that an image needs another
    format (see `with_extension`). Where two are the same (``a.png``, ``a.jpg``, ``A.tif``), or a file is what a
    folder is elsewhere, all concerned keep their whole name before the new extension, and if that is not
    enough (or a name gets too long for a file system) it is told apart by a hash of the path. Folders that are too
    long get a hash for a name.

    Args:
        entries: with unique, safe paths.
        format: a key of `FORMATS`; or `AUTO`, then the extension is that of the format to be expected.
        taken: names that are given already.

    Returns:
        Relative paths, in the order of the entries; they depend on the set of paths and on `taken` only.
    """
    paths = [entry.path for entry in entries]
    levels = [0] * len(paths)
    given = _given(paths, taken)
    while True:
        names = [_candidate(path, level) for path, level in zip(paths, levels, strict=True)]
        clashes = _clashing(names, levels, given)
        if not clashes:
            return [name + _extension(path, format) for name, path in zip(names, paths, strict=True)]
        for index in clashes:
            levels[index] += 1


def _given(paths: Sequence[str], taken: Collection[str]) -> set[str]:
    """Names, folded, that no entry may have."""
    given = {_folded(_stem(name)) for name in taken}
    # Neither may a file be called like a folder, nor lie in one that is called like a file.
    folders = _folders([*map(_short_folders, paths), *taken])
    return given | {_folded(_stem(folder)) for folder in folders if _stem(folder) != folder}


def _clashing(names: Sequence[str], levels: Sequence[int], given: set[str]) -> list[int]:
    """Positions of the names that must give way: to one that is given, to each other, or as they are too long."""
    folded = [_folded(name) for name in names]
    sharing: dict[str, list[int]] = defaultdict(list)
    for name, level in zip(folded, levels, strict=True):
        sharing[name].append(level)
    # Who has given way already stays, as long as others have not.
    first_to_go = {name: min(of_name) for name, of_name in sharing.items() if len(of_name) > 1}
    return [
        index
        for index, (name, level) in enumerate(zip(folded, levels, strict=True))
        if level < _LAST_LEVEL and (name in given or first_to_go.get(name) == level or _is_long(names[index]))
    ]


def with_extension(output: str, format: str) -> str:
    """A name that `output_names` gave, for a file in another format; still unique."""
    return _stem(output) + FORMATS[format].extension


def _extension(path: str, format: str) -> str:
    if format == AUTO:
        format = EXTENSION_FAMILY.get(PurePosixPath(path).suffix.lower(), "png")
    return FORMATS[format].extension


def _stem(output: str) -> str:
    """Without the extension, of a name with one of those that are written."""
    stem, dot, suffix = output.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in _WRITTEN else output


def _candidate(path: str, level: int) -> str:
    folder, slash, name = _short_folders(path).rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if stem and f"{dot}{suffix}".lower() in EXTENSIONS and level != 1:
        name = stem
    digest = _digest(path)
    if level == 2:
        name = f"{name}-{digest[:8]}"
    elif level == _LAST_LEVEL:
        name = digest
    return f"{folder}{slash}{name}"


def _short_folders(path: str) -> str:
    """`path` in folders that a file system and S3 can hold, other ones for other folders."""
    folder, slash, name = path.rpartition("/")
    parts = [_digest(part) if len(part.encode()) > _MAX_NAME_BYTES else part for part in folder.split("/")]
    short = "/".join(parts)
    return f"{_digest(folder) if len(short.encode()) > _MAX_FOLDER_BYTES else short}{slash}{name}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _folders(paths: list[str]) -> set[str]:
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _is_long(name: str) -> bool:
    return len(name.rpartition("/")[2].encode()) + _LONGEST > _MAX_NAME_BYTES
