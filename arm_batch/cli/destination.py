"""Where results go: OUTPUT as a folder, or the name of one file for one image."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arm_batch.core.image_options import AUTO
from arm_batch.errors import UsageError
from arm_batch.spec import Sink

_FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".avif": "avif",
}
"""What a file of this name is written as."""


@dataclass(frozen=True)
class Destination:
    """Where a run writes.

    Attributes:
        folder: OUTPUT of the run.
        sink: of the run.
        format: of the run.
        file: that its one image becomes; None where the folder is the result.
    """

    folder: str
    sink: Sink
    format: str
    file: Path | None = None

    def place(self) -> Path | None:
        """Put the image where it was asked for; returns its name, None where there is none or it failed.

        It has another extension where its format could not hold it.
        """
        images = Path(self.folder) / "images"
        found = [path for path in images.rglob("*") if path.suffix.lower() in _FORMATS] if self.file else []
        if self.file is None or not found:
            return None
        same = _FORMATS[found[0].suffix.lower()] == self.format
        target = self.file if same else self.file.with_suffix(found[0].suffix)
        os.replace(found[0], target)  # noqa: PTH105 - as Path.replace, which says less of what becomes of the target
        return target


def one_output(argument: str | None, option: str | None) -> str:
    """OUTPUT, given as an argument or with ``--output``; `UsageError` where it is given twice or not at all."""
    given = [output for output in (argument, option) if output is not None]
    if len(given) != 1:
        told = "OUTPUT is given twice, with --output or in --config too" if given else "missing argument 'OUTPUT'"
        raise UsageError(f"{told}; see `arm-batch upscale --help`")
    return given[0]


@contextmanager
def destination(input: str, output: str, sink: Sink, format: str, goes_on: bool) -> Iterator[Destination]:
    """Where a run is to write; a folder that is gone after the block where it is to be one file.

    Args:
        input: INPUT.
        output: OUTPUT.
        sink: that was asked for.
        format: that was asked for.
        goes_on: whether options ask for a run that is there already.

    Raises:
        UsageError: the file is there, cannot be of that kind, or has no folder.
    """
    if not _is_one_image(input, output):
        yield Destination(output, sink, format)
        return
    file = Path(output).expanduser()
    wanted = _format_of(file, format)
    if goes_on:
        raise UsageError(f"{output} is to be one image, of which no run stays to go on with: give a folder")
    if file.exists():
        raise UsageError(f"OUTPUT {output} is there already: give another name")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"OUTPUT {output}: there is no folder {file.parent}")
    # Beside the file, so that it is there as a whole or not at all.
    with tempfile.TemporaryDirectory(prefix=".arm-batch-", dir=file.absolute().parent) as folder:
        yield Destination(folder, "files", wanted, file)


def _is_one_image(input: str, output: str) -> bool:
    """Whether INPUT is one image file, and OUTPUT is called like one and is no folder."""
    # Parsers of images take long to load, and are not needed for names.
    from arm_batch.inputs.sources import is_image

    local = "://" not in input and "://" not in output
    return local and is_image(input) and Path(input).is_file() and is_image(output) and not Path(output).is_dir()


def _format_of(file: Path, format: str) -> str:
    named = _FORMATS.get(file.suffix.lower())
    if named is None:
        raise UsageError(f"OUTPUT {file}: {file.suffix} cannot be written; known: {', '.join(_FORMATS)}")
    if format not in (AUTO, named):
        raise UsageError(f"OUTPUT {file} is called {named}, and --format {format} asks for another")
    return named
