from __future__ import annotations

import time

import pytest

from arm_batch.storage.waiting import Watch


def test_long_waits_are_told_once_and_together(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(None)
    now = time.monotonic()

    def told() -> list[str]:
        lines = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return lines

    with watch.over("s3://b/a", "given up in 370 s", 10), watch.over("s3://b/b", "given up in 370 s", 10):
        watch.look(now + 9)
        assert told() == []
        watch.look(now + 11)
        assert told() == ["s3://b/a and 1 more: nothing for 11 s; given up in 370 s"]
        with watch.over("/mnt/c", "it is waited for without end", 20):
            watch.look(now + 19)
            assert told() == []
            watch.look(now + 3600)
            (line,) = told()
            assert line.startswith("/mnt/c: nothing for ")
    with watch.over("s3://b/d", "given up in 370 s", 10) as tell_no_more:
        tell_no_more()
        watch.look(now + 7100)
    watch.look(now + 7200)
    assert told() == []


def test_the_watch_of_a_process_looks_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(0.01)
    with watch.over("s3://b/a", "given up", 0.0):
        while not caplog.records:
            time.sleep(0.01)
    assert "s3://b/a: nothing for 0 s; given up" in caplog.records[0].getMessage()
