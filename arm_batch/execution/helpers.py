"""Processes that help this one: they load what it loads, and do what they are called to do.

Processes and no threads, as libvips keeps what it finds odd in a file in one place of a process, where images that
are decoded at once would hear of each other's damage. They are not those of `multiprocessing`, which would run the
caller's script once more in each of them. Run as a module it is such a process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from arm_batch.errors import ArmBatchError

_READY = "ready"

_ROOT = Path(__file__).parents[2]
"""Where this package lies: not everywhere is it installed."""


class HelperLostError(ArmBatchError):
    """A helper is no more: a library has crashed, or its memory was needed."""


class Helper:
    """One process that helps. It ends with this one, however that ends, as its standard input does then."""

    def __init__(self) -> None:
        # A session of its own: what ends this process at the terminal has it end that one in order.
        # Nothing that lies where the user stands is imported by chance.
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )

    def begin(self, setup: bytes) -> None:
        """Wait until it has loaded everything, and hand it what all calls need.

        Args:
            setup: a pickled function without arguments, which returns what calls are given.

        Raises:
            HelperLostError: it has ended.
        """
        self._receive()
        self._send(setup)

    def call(self, call: Callable[[Any], Any]) -> Any:
        """Have it do something, and wait for that: what `call` returned or raised there.

        Raises:
            HelperLostError: it has ended.
        """
        self._send(pickle.dumps(call))
        done, result = self._receive()
        if not done:
            raise result
        return result

    def end(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # What was on its way may be left in a buffer.
                with suppress(OSError):
                    stream.close()

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            _write(self._process.stdin, message)
        except (OSError, ValueError) as error:
            raise self._lost() from error

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise self._lost() from error

    def _lost(self) -> HelperLostError:
        code = self._process.wait()
        return HelperLostError(f"signal {-code}" if code < 0 else f"exit code {code}")


class Helpers:
    """The helpers of a run, as many as were asked for so far."""

    def __init__(self) -> None:
        self.all: list[Helper] = []

    def grow(self, count: int) -> None:
        """Start some, until there are `count`."""
        self.all.extend(Helper() for _ in range(len(self.all), count))

    def end(self) -> None:
        """End them."""
        for helper in self.all:
            helper.end()
        self.all = []


@contextmanager
def helpers_ended() -> Iterator[Helpers]:
    """Helpers that end with the block."""
    helpers = Helpers()
    try:
        yield helpers
    finally:
        helpers.end()


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(message)
    stream.flush()


def main() -> None:
    """Do what comes on standard input, until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # What libraries print is no answer.
    os.dup2(2, 1)
    messages: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(messages,), daemon=True).start()
    # All that calls need: what unpickles them would import it as well, but only then.
    import arm_batch.execution.work  # noqa: F401

    _write(answers, pickle.dumps(_READY))
    held = messages.get()()
    while True:
        call = messages.get()
        try:
            answer = True, call(held)
        except BaseException as error:
            answer = False, error
        _write(answers, _pickled(answer))
        del call, answer


def _read(messages: SimpleQueue[Any]) -> None:
    """Pass on what comes; where nothing comes any more nobody is there to work for, and this process ends."""
    try:
        while True:
            messages.put(pickle.load(sys.stdin.buffer))
    except BaseException:
        os._exit(0)


def _pickled(answer: tuple[bool, Any]) -> bytes:
    try:
        return pickle.dumps(answer)
    except Exception:
        # An exception of some library.
        return pickle.dumps((False, RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))


if __name__ == "__main__":
    main()
