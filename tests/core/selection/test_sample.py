from __future__ import annotations

import pytest

from arm_batch.core.selection.sample import parse_sample
from arm_batch.errors import UsageError


@pytest.mark.parametrize(
    ("text", "archive", "size"),
    [
        ("500", 10_000, 500),
        ("500", 100, 100),
        ("2%", 10_000, 200),
        ("2%", 10, 2),
        (" 12.5 % ", 81, 11),
        ("100%", 7, 7),
        ("2", 1, 1),
    ],
)
def test_reads_numbers_and_shares(text: str, archive: int, size: int) -> None:
    assert parse_sample(text).size(archive) == size


@pytest.mark.parametrize("text", ["", "1", "0", "-5", "2.5", "0%", "101%", "nan%", "ten", "5 %%", "5PFLOP"])
def test_refuses_the_rest_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sample(text)
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)
