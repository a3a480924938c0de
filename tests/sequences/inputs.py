"""The images of INPUT, and all that they ever were."""

from __future__ import annotations

from collections import defaultdict

from tests.sequences.disk import Disk
from tests.sequences.toy import decoded, png

NAMES = ("a.png", "b.png", "d/c.png", "d/e.png", "f.png", "g.png", "d/d/h.png", "a.jpg")
"""Of images: in folders, and two whose outputs would have the same name."""

SOUND = (
    *(png(seed, *size) for seed, size in enumerate([(8, 8), (8, 8), (16, 16), (16, 16), (16, 16), (9, 17)])),
    png(6, 9, 17),
    png(7, 24, 12),
    png(8, 3, 4),
    png(9, 16, 16, channels=1),
)
"""Contents, some of the same size as others."""

BROKEN = (b"", b"not a picture", SOUND[2][:60], SOUND[3][: len(SOUND[3]) // 2])

CONTENTS = (*SOUND, *BROKEN)


class Inputs:
    """INPUT, and the history of its objects.

    Args:
        disk: where it lies.
    """

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.now: dict[str, bytes] = {}
        self._etags: dict[str, str] = {}
        self._versions: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._changes: defaultdict[str, int] = defaultdict(int)

    def put(self, name: str, data: bytes) -> None:
        """Add an image, or put another into its place."""
        etag = self.disk.write(name, data)
        self.now[name] = data
        self._etags[name] = etag
        self._versions[name][etag] = data
        self._changes[name] += 1

    def remove(self, name: str) -> None:
        """Take an image away."""
        self.disk.remove(name)
        del self.now[name]
        del self._etags[name]
        self._changes[name] += 1

    def etag(self, name: str) -> str | None:
        """Of what lies there now; None where nothing does."""
        return self._etags.get(name)

    def bytes_of(self, name: str, etag: str) -> bytes | None:
        """What the image with this ETag was; None where there never was such a one."""
        return self._versions[name].get(etag)

    def has_changed(self, name: str) -> bool:
        """Whether it has ever been changed or removed since it came."""
        return self._changes[name] > 1

    def mate(self, name: str, number: int) -> bytes:
        """Another content of the size in pixels that the image has now, if there is one."""
        before = decoded(self.now[name])
        mates = [
            data
            for data in SOUND
            if before is not None and data != self.now[name] and _shape(data) == before.shape[:2]
        ]
        return mates[number % len(mates)] if mates else SOUND[number % len(SOUND)]


def _shape(data: bytes) -> tuple[int, ...]:
    pixels = decoded(data)
    assert pixels is not None
    return pixels.shape[:2]
