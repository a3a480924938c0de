"""How much of an archive to look at: ``500`` images, or ``2%`` of them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from arm_batch.errors import UsageError

LEAST = 2
"""One image says nothing of how images differ."""


@dataclass(frozen=True)
class Sample:
    """A number of images, or a share of them.

    Attributes:
        text: as it was written.
        images: how many; None for a share.
        percent: of all; None for a number.
    """

    text: str
    images: int | None
    percent: float | None

    def size(self, archive: int) -> int:
        """Images to take of an archive of so many; at least `LEAST`, at most all."""
        wanted = self.images if self.percent is None else math.ceil(archive * self.percent / 100)
        return min(max(wanted or 0, LEAST), archive)


def parse_sample(text: str) -> Sample:
    """Read a sample size; `UsageError` says what is wrong with it.

    >>> parse_sample("500").size(10_000), parse_sample("2%").size(10_000), parse_sample("500").size(100)
    (500, 200, 100)
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*", text)
    if match is None or (not match[2] and "." in match[1]):
        raise UsageError(
            f"cannot read the sample {text!r}: write a number of images such as 500, or a share such as 2%"
        )
    if match[2]:
        percent = float(match[1])
        if not 0 < percent <= 100:
            raise UsageError(f"the sample {text!r} must be more than 0% and at most 100%")
        return Sample(text.strip(), None, percent)
    if int(match[1]) < LEAST:
        raise UsageError(f"the sample {text!r} is too small: {LEAST} images at least, to tell how images differ")
    return Sample(text.strip(), int(match[1]), None)
