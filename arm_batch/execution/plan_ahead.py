"""Planning in a process beside this one while a cluster starts: few images are planned before its workers are up.

Run as a module it is that process: on its standard input are the context and the shards, on its output the summary
of each. An image that takes it down takes nothing else: what it leaves, the cluster plans, and counts the losses.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from arm_batch.core.stop import Stop, never
from arm_batch.execution.messages import JobContext, ShardSummary
from arm_batch.execution.planning import plan_shards
from arm_batch.runstate.shard_plan import Shard, ShardId

MOST_SHARDS = 64
"""That are worth it: of more, a cluster plans many at once."""

WAIT_S = 5.0
"""For what is not planned when the cluster is there: about as long as its workers would take to start."""

_POLL_S = 0.2
"""How often to ask whether to stop."""


class PlanAhead:
    """What a process beside this one plans.

    Args:
        process: that does.
        answers: what it writes.
    """

    def __init__(self, process: subprocess.Popen[bytes], answers: BinaryIO) -> None:
        self._process = process
        self._answers = answers
        self._found: dict[ShardId, ShardSummary] | None = None

    def summaries(self, stop: Stop = never) -> Mapping[ShardId, ShardSummary]:
        """Wait a little for what is still being planned; returns what has been, and is in the output as well."""
        if self._found is None:
            self._wait(stop)
            self.end()
            self._answers.seek(0)
            self._found = {summary.shard: summary for summary in _read(self._answers)}
        return self._found

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _wait(self, stop: Stop) -> None:
        deadline = time.monotonic() + WAIT_S
        while not stop() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_S)
                return


@contextmanager
def planning_ahead(context: JobContext, shards: Sequence[Shard]) -> Iterator[PlanAhead | None]:
    """Plan shards, in their order, in a process that ends with the block; for no shards there is none.

    Args:
        context: of the run.
        shards: of one generation.
    """
    if not shards:
        yield None
        return
    with tempfile.TemporaryFile() as task, tempfile.TemporaryFile() as answers:
        pickle.dump((context, shards), task)
        task.seek(0)
        # A session of its own: what ends this process at the terminal has it end that one in order.
        ahead = PlanAhead(
            subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=task,
                stdout=answers,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ),
            answers,
        )
        try:
            yield ahead
        finally:
            ahead.end()


def _read(answers: BinaryIO) -> Iterator[ShardSummary]:
    # The last one may have been cut off.
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(answers)


def main() -> None:
    """Plan what standard input asks for."""
    parent = os.getppid()
    context, shards = pickle.load(sys.stdin.buffer)
    # It stops when nobody is there any more to read what it writes.
    for summary in plan_shards(context, shards, lambda: os.getppid() != parent):
        pickle.dump(summary, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
