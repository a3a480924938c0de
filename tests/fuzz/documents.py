"""Fuzzing documents: ``python -m tests.fuzz.documents --count 2000``. Exit code 1 where something was found.

Each time one file of an output, a plan, a pool or a ladder is changed, and the commands that read it are run in
this process. Found is whatever ends otherwise than the command line promises, and every row that is another.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import io
import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.main

from arm_batch.cli import _Commands, exit_codes, main
from arm_batch.errors import ArmBatchError
from arm_batch.models.ladder_files import LadderFiles, find_ladder, load_ladder
from arm_batch.runstate.commit import committed, visible_parts
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.rows import from_table
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store
from tests.fuzz.changes import change
from tests.fuzz.outputs import State, keys_of, make_states
from tests.sequences.remember import remembered, remembering
from tests.sequences.steady import one_thread, steady

CODES = {0, exit_codes.CRASH, exit_codes.USAGE, exit_codes.FAILED_IMAGES, exit_codes.UNDONE}

Row = tuple[object, ...]
"""What a reader sees of an image: all that its row says, and the hash of what lies there."""


@dataclass
class Fuzzed:
    """What became of a number of changes.

    Attributes:
        done: of them.
        findings: a line for each, with the number that `take_through` makes it again from.
        codes: how often commands ended with each exit code.
    """

    done: int = 0
    findings: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)


class Fuzzer:
    """Changes documents under a folder and puts them back.

    Args:
        root: empty; gets what is changed.
        seed: of it all.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self._seed = seed
        # Outputs name their input and pool by absolute paths: so they stay where they are made.
        self._root, self._kept = root / "work", root / "kept"
        with steady():
            self._states = make_states(self._root)
        shutil.copytree(self._root, self._kept)
        self._rows = {
            state.name: read_rows(open_store(str(self._root / state.output)))
            for state in self._states
            if state.output is not None and state.finished
        }

    def take_through(self, number: int, fuzzed: Fuzzed) -> None:
        """Make the change of a number, run what reads it, and look at what there is then."""
        rng = random.Random(f"{self._seed}/{number}")
        state = rng.choice(self._states)
        key = rng.choice(keys_of(self._kept, state))
        path = self._root / state.name / key
        before = path.read_bytes()
        after = change(key, before, rng)
        path.write_bytes(after)
        told = f"{number}: {state.name}/{key}"
        try:
            with steady():
                fuzzed.findings += [f"{told}: {finding}" for finding in self._run(state, after != before, fuzzed)]
        finally:
            self._put_back(state)
        fuzzed.done += 1

    def _run(self, state: State, changed: bool, fuzzed: Fuzzed) -> Iterator[str]:
        codes = []
        for command in state.commands:
            arguments = [argument.replace("{}", str(self._root)) for argument in command]
            code, out, err = run(arguments)
            if code is None:
                yield f"`{' '.join(command)}` ends in {err}"
                return
            codes.append(code)
            fuzzed.codes[code] += 1
            yield from _judge(command, code, out, err)
        if state.commands[-1][0] == "verify" and codes[-2] in (0, exit_codes.FAILED_IMAGES) and codes[-1] != 0:
            yield "what was repaired is still damaged"
        if state.output is not None:
            yield from self._look(state, codes, changed)

    def _look(self, state: State, codes: list[int], changed: bool) -> Iterator[str]:
        """What the rows of an output say at the end."""
        assert state.output is not None
        spoken = any(code not in (0, exit_codes.FAILED_IMAGES) for code in codes)
        try:
            found = read_rows(open_store(str(self._root / state.output)))
        except (ArmBatchError, OSError, ValueError, KeyError) as error:
            if not spoken and changed:
                yield f"its rows cannot be read ({error}), and no command says so"
            return
        wanted = self._rows.get(state.name)
        if wanted is None:
            return
        for path, row in found.items():
            if row != wanted.get(path):
                yield f"the row of {path} is another: {row}, was {wanted.get(path)}"
        if found.keys() != wanted.keys() and not spoken:
            yield f"rows are gone without a word: {sorted(wanted.keys() - found.keys())}"

    def _put_back(self, state: State) -> None:
        for name in {state.name, state.output or state.name}:
            shutil.rmtree(self._root / name, ignore_errors=True)
            if (self._kept / name).exists():
                shutil.copytree(self._kept / name, self._root / name)


@contextmanager
def calm() -> Iterator[None]:
    """While the block runs, what a command does over and over whatever the documents say costs little."""
    with pytest.MonkeyPatch.context() as patch, one_thread(), remembering():
        for name in ("arm_batch.pipeline.upscale", "arm_batch.pipeline.plan"):
            patch.setattr(importlib.import_module(name), "load_ladder", _load_ladder)
        # The options of a command are the same each time.
        patch.setattr(typer.main, "get_command", remembered(typer.main.get_command))
        patch.setattr(_Commands, "get_command", _get_command)
        yield


def _load_ladder(reference: str) -> LadderFiles:
    """As the real one, once for the same files."""
    folder = find_ladder(reference)
    return _ladder_of(tuple((path, path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file()))


@remembered
def _ladder_of(files: tuple[tuple[Path, bytes], ...]) -> LadderFiles:
    return load_ladder(files[0][0].parent)


_real_get_command = _Commands.get_command


def _get_command(group: Any, context: Any, name: str) -> Any:
    del context
    return _command(group, name)


@remembered
def _command(group: Any, name: str) -> Any:
    return _real_get_command(group, None, name)


def run(arguments: list[str]) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a command, run in this process; code None and a traceback for a defect."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(arguments)
    except SystemExit as ended:
        code = ended.code
        return code if isinstance(code, int) else 0, out.getvalue(), err.getvalue()
    except BaseException:
        return None, out.getvalue(), traceback.format_exc()
    return 0, out.getvalue(), err.getvalue()


def read_rows(store: ObjectStore) -> dict[str, Row]:
    """All rows that count, by path, with the hash of the image that each names."""
    images = Images(store)
    found: dict[str, Row] = {}
    for part in visible_parts(committed(store).values()):
        for row in from_table(pq.read_table(pa.BufferReader(store.read(part.key)))):
            assert row.path not in found, f"{row.path} is there twice"
            image = None if row.image is None else hashlib.sha256(images.read(row.image)).hexdigest()
            said = (row.status, row.error, row.sha256, row.flops, row.subnet_tiles, row.source_etag, row.notes)
            if image is not None and image != row.sha256:
                raise ValueError(f"the image of {row.path} is not that of its row")
            found[row.path] = (*said, image)
    return found


def _judge(command: tuple[str, ...], code: int, out: str, err: str) -> Iterator[str]:
    if code not in CODES or "Traceback" in out + err:
        yield f"`{command[0]}` ends with {code}: {err[-500:]}"
    errors = [line for line in err.splitlines() if line.startswith("arm-batch: ")]
    if code in (exit_codes.CRASH, exit_codes.USAGE) and len(errors) != 1:
        yield f"`{command[0]}` ends with {code} and says: {err[-500:]!r}"
    if any(len(line) > 2000 for line in errors):
        yield f"`{command[0]}` says too much: {errors[0][:200]}"


def fuzz(root: Path, seed: int, count: int, first: int = 0) -> Fuzzed:
    """Take changes through, one after the other.

    Args:
        root: an empty folder.
        seed: decides which changes.
        count: of them.
        first: number of the first.
    """
    with calm():
        fuzzed, fuzzer = Fuzzed(), Fuzzer(root, seed)
        for number in range(first, first + count):
            known = len(fuzzed.findings)
            fuzzer.take_through(number, fuzzed)
            for finding in fuzzed.findings[known:]:
                print(finding, flush=True)
            if fuzzed.done % 100 == 0:
                print(f"{fuzzed.done:,} changes", flush=True)
    return fuzzed


def no_sync(fd: object) -> None:
    """Nobody pulls the plug here, and disks take their time."""
    del fd


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.documents", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("error", RuntimeWarning)
    with tempfile.TemporaryDirectory() as folder:
        fuzzed = fuzz(Path(folder), options.seed, options.count, options.first)
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(fuzzed.codes.items()))
    print(f"{fuzzed.done} changes, {len(fuzzed.findings)} findings; commands by exit code: {codes}")
    return 1 if fuzzed.findings else 0


if __name__ == "__main__":
    sys.exit(_main())
