"""Which images of an archive are meant."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from arm_batch.core.selection.globs import check_pattern, matches
from arm_batch.core.selection.sample import Sample
from arm_batch.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A part of an archive. Patterns and sizes go first, then the limit; the sample is drawn from the rest.

    Attributes:
        include: patterns (see `core.selection.globs`) of which one must match; empty for all.
        exclude: patterns of which none may match.
        min_size: bytes of a file below which it is left out; None for no bound.
        skip_larger_than: bytes of a file above which it is left out; None for no bound.
        limit: at most so many images, the first by path; None for all.
        sample: how many of them to draw; None for all.
        seed: of the draw.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None
    skip_larger_than: int | None = None
    limit: int | None = None
    sample: Sample | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for pattern in (*self.include, *self.exclude):
            check_pattern(pattern)
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"the limit {self.limit} leaves no image")

    @property
    def text(self) -> str:
        """As options of the command line, whatever order they were given in; empty for all of an archive."""
        options = [("--include", pattern) for pattern in sorted(set(self.include))]
        options += [("--exclude", pattern) for pattern in sorted(set(self.exclude))]
        sizes = (("--min-size", self.min_size), ("--skip-larger-than", self.skip_larger_than))
        options += [(name, str(size)) for name, size in sizes if size is not None]
        if self.limit is not None:
            options.append(("--limit", str(self.limit)))
        if self.sample is not None:
            options += [("--sample", self.sample.text), ("--seed", str(self.seed))]
        return " ".join(f"{name} {shlex.quote(value)}" for name, value in options)

    @property
    def patterns(self) -> str:
        """The names of the options by which images are left out one by one."""
        given = {
            "--include": self.include,
            "--exclude": self.exclude,
            "--min-size": self.min_size is not None,
            "--skip-larger-than": self.skip_larger_than is not None,
        }
        return " and ".join(name for name, value in given.items() if value)

    def whole(self) -> Selection:
        """The same without a sample: what a sample stands for."""
        return replace(self, sample=None)

    def admits(self, path: str, size: int = -1) -> bool:
        """Whether the patterns and bounds let an image through.

        Args:
            path: of it.
            size: bytes of its file; -1 where nobody knows before it is read, and no bound holds.
        """
        included = not self.include or any(matches(pattern, path) for pattern in self.include)
        return included and self._has_size(size) and not any(matches(pattern, path) for pattern in self.exclude)

    def _has_size(self, size: int) -> bool:
        small = self.min_size is not None and size < self.min_size
        large = self.skip_larger_than is not None and size > self.skip_larger_than
        return size < 0 or not (small or large)

    def choose(self, paths: Sequence[str], taken: Collection[str] = frozenset()) -> list[int]:
        """What to take up of an archive.

        A limit or a sample counts what was taken up before: an archive that has grown fills up what it did not
        reach then, and a share of it grows along.

        Args:
            paths: all that the patterns let through, distinct and sorted.
            taken: paths taken up before, also such as are gone since.

        Returns:
            Positions of further ones in `paths`, ascending.
        """
        population = len(paths) if self.limit is None else min(self.limit, len(paths))
        size = population if self.sample is None else self.sample.size(population)
        open_positions = [position for position in range(population) if paths[position] not in taken]
        if self.limit is None and self.sample is None:
            return open_positions
        room = max(size - len(taken), 0)
        if self.sample is not None:
            open_positions.sort(key=lambda position: _draw(self.seed, paths[position]))
        return sorted(open_positions[:room])


EVERYTHING = Selection()
"""All of an archive."""


def _draw(seed: int, path: str) -> bytes:
    """Where a path stands in the order of the draw: the same whatever else there is."""
    return hashlib.sha256(f"{seed}/{path}".encode()).digest()
