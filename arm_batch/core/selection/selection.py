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
    """A part of an archive. Patterns go first, then the limit, and the sample is drawn from what these leave.

    Attributes:
        include: patterns (see `core.selection.globs`) of which one must match; empty for all.
        exclude: patterns of which none may match.
        limit: at most so many images, the first by path; None for all.
        sample: how many of them to draw; None for all.
        seed: of the draw.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
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
        if self.limit is not None:
            options.append(("--limit", str(self.limit)))
        if self.sample is not None:
            options += [("--sample", self.sample.text), ("--seed", str(self.seed))]
        return " ".join(f"{name} {shlex.quote(value)}" for name, value in options)

    def whole(self) -> Selection:
        """The same without a sample: what a sample stands for."""
        return replace(self, sample=None)

    def admits(self, path: str) -> bool:
        """Whether the patterns let a path through."""
        included = not self.include or any(matches(pattern, path) for pattern in self.include)
        return included and not any(matches(pattern, path) for pattern in self.exclude)

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
