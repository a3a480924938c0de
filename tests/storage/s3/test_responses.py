from __future__ import annotations

import io
from typing import Any

import pytest

from arm_batch.storage.retry import RetryPolicy
from arm_batch.storage.s3.responses import BadAnswerError, read_body


class Trickle(io.BytesIO):
    """A body of which each piece takes a second of a clock to come."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self.seconds, self._piece = 0.0, piece

    def read(self, size: int | None = -1) -> bytes:
        del size
        self.seconds += 1
        return super().read(self._piece)


def test_a_body_that_trickles_in_is_given_up() -> None:
    # A KiB/s: after its grace of 5 s it is behind 16 KiB/s for good.
    body = Trickle(bytes(32 << 10), 1 << 10)
    retry_policy = RetryPolicy(read_s=5, slowest_bytes_per_s=16 << 10, now=lambda: body.seconds)
    answer: Any = {"ContentLength": 32 << 10, "Body": body}
    with pytest.raises(BadAnswerError, match="only 8192 of 32768 bytes came in 7 s"):
        read_body(answer, retry_policy)
    assert body.closed


def test_a_slow_body_that_is_fast_enough_is_read_to_its_end() -> None:
    data = bytes(range(256)) * 128
    body = Trickle(data, 16 << 10)
    answer: Any = {"ContentLength": len(data), "Body": body}
    assert read_body(answer, RetryPolicy(read_s=5, slowest_bytes_per_s=8 << 10, now=lambda: body.seconds)) == data
