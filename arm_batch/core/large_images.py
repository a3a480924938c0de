"""Which images are large images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LargeImages:
    """From which size on an image is not held in memory as a whole; tests lower the limits.

    Attributes:
        pixels: of an output: one of more is made and written in bands of tile rows. 2^28 px of three channels are
            0.8 GB.
        streamed: of an input: one of more is read in strips too. 2^26 px of three channels are 0.2 GB.
        band_bytes: of upscaled samples at a time, but a row of tiles at least. What else there is at a time, rows
            that are read, scored or with the encoder, is a few times as much.
    """

    pixels: int = 2**28
    streamed: int = 2**26
    band_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.pixels > 4 * self.streamed:
            raise ValueError("an input that is read in strips must have an output that is large")

    def has_output(self, height: int, width: int) -> bool:
        """Whether an output of this size is a large image."""
        return height * width > self.pixels

    def has_input(self, height: int, width: int) -> bool:
        """Whether an input of this size is read in strips."""
        return height * width > self.streamed


DEFAULT_LARGE_IMAGES = LargeImages()
