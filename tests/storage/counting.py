"""A store in memory that counts what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from arm_batch.storage.base import ObjectInfo
from arm_batch.storage.null import NullStore


@dataclass(frozen=True)
class CountingStore(NullStore):
    """See `ObjectStore`, as far as small objects go.

    Attributes:
        objects: by key.
        reads: how often each key was read.
        lists: how often each prefix was listed.
    """

    objects: dict[str, bytes] = field(default_factory=dict, compare=False)
    reads: Counter[str] = field(default_factory=Counter, compare=False)
    lists: Counter[str] = field(default_factory=Counter, compare=False)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`."""
        self.lists[prefix] += 1
        return iter(
            [ObjectInfo(key, len(self.objects[key]), "") for key in sorted(self.objects) if key.startswith(prefix)]
        )

    def read(self, key: str) -> bytes:
        """The object."""
        self.reads[key] += 1
        if key not in self.objects:
            raise FileNotFoundError(key)
        return self.objects[key]

    def write(self, key: str, data: bytes) -> None:
        """Replace the object."""
        self.objects[key] = data

    def create(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one."""
        return self.objects.setdefault(key, data) is data

    def delete(self, key: str) -> None:
        """Remove the object."""
        self.objects.pop(key, None)
