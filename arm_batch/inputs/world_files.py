"""World files: six numbers, in a text beside an image, that say where on earth its pixels lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePosixPath

from arm_batch.errors import ObjectError
from arm_batch.storage.base import Readable
from arm_batch.storage.local import LocalStore

_MOST_BYTES = 10_000

World = tuple[float, float, float, float, float, float]
"""Of x and y the step across and the step down, and then the middle of the first pixel."""


def read_world(store: Readable, key: str) -> str | None:
    """What the world file beside an image of a folder says; None where there is none, or no folder.

    In other stores each image would take requests for what is hardly ever there.
    """
    if not isinstance(store, LocalStore):
        return None
    for name in _names(key):
        try:
            return store.read(name)[:_MOST_BYTES].decode("ascii", "replace")
        except (FileNotFoundError, PermissionError, ObjectError):
            # A name that would be too long is no name of a file either.
            continue
    return None


def world_name(output: str) -> str:
    """What the one beside an output is called.

    >>> world_name("sea/1.png"), world_name("2.webp")
    ('sea/1.pgw', '2.wld')
    """
    path = PurePosixPath(output)
    extension = path.suffix[1:]
    return str(path.with_suffix(f".{extension[0]}{extension[-1]}w" if len(extension) == 3 else ".wld"))


def parse_world(text: str) -> World | None:
    """Its numbers; None where there are not just six.

    >>> parse_world("0.5\\n0\\n0\\n-0.5\\n100.25\\n199.75\\n")
    (0.5, 0.0, 0.0, -0.5, 100.25, 199.75)
    """
    try:
        values = [float(word.replace(",", ".")) for word in text.split()]
    except ValueError:
        return None
    if len(values) != 6 or not all(map(math.isfinite, values)):
        return None
    a, d, b, e, x, y = values
    return a, d, b, e, x, y


def enlarged_world(world: World, scale: int) -> World:
    """For a picture that was enlarged so many times.

    >>> enlarged_world((0.5, 0.0, 0.0, -0.5, 100.25, 199.75), 2)
    (0.25, 0.0, 0.0, -0.25, 100.125, 199.875)
    """
    a, d, b, e, x, y = world
    # The middle of the first pixel moves towards its corner.
    share = (scale - 1) / (2 * scale)
    return a / scale, d / scale, b / scale, e / scale, x - share * (a + b), y - share * (d + e)


def world_text(world: World) -> bytes:
    """A file."""
    return "".join(f"{value:.12f}\n" for value in world).encode()


def _names(key: str) -> Iterator[str]:
    """What one beside an image may be called: ``.tfw``, ``.tifw``, ``.wld``, in the case of the extension."""
    path = PurePosixPath(key)
    extension = path.suffix[1:]
    if not extension:
        return
    for suffix in dict.fromkeys((f"{extension[0]}{extension[-1]}w", f"{extension}w", "wld")):
        for name in dict.fromkeys((suffix, suffix.upper() if extension.isupper() else suffix.lower())):
            yield str(path.with_suffix(f".{name}"))
