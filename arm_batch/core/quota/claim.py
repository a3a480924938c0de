"""What one job holds of a quota."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arm_batch.core.json_records import Count, Index, Key


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one job holds.

    Attributes:
        demand: see `Register`.
        portions: see `Register`.
        grant: FLOPs that it may spend in all; after it has left, what it has spent.
        reserved: by portion, begun and not settled.
        settled: by portion.
        revisions: by portion, that under which it has begun.
        refused: by portion, the last revision under which it may not begin.
        active: until it leaves.
    """

    demand: Key
    portions: Index
    grant: Count = 0
    reserved: Mapping[Index, Count] = {}
    settled: Mapping[Index, Count] = {}
    revisions: Mapping[Index, Index] = {}
    refused: Mapping[Index, Index] = {}
    active: bool = True

    @property
    def spent(self) -> int:
        """FLOPs of the portions that are done."""
        return sum(self.settled.values())

    @property
    def fixed(self) -> int:
        """FLOPs of the portions that are done or under way: no price changes them."""
        return self.spent + sum(self.reserved.values())

    @property
    def is_sound(self) -> bool:
        """Whether events can have led to it."""
        begun = {**self.reserved, **self.settled}
        return (
            len(begun) == len(self.reserved) + len(self.settled)
            and begun.keys() == self.revisions.keys()
            and all(portion < self.portions for portion in (*begun, *self.refused))
            and self.fixed <= self.grant
        )

    def begun(self, portion: int) -> int | None:
        """What a portion has reserved or spent; ``None`` before it has begun."""
        return self.settled.get(portion, self.reserved.get(portion))

    def is_refused(self, portion: int, revision: int) -> bool:
        """Whether a portion may not begin under a revision."""
        return revision <= self.refused.get(portion, -1)
