"""What lies in an output, looked at from scratch: what is not so, what is sound, and what `verify` says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from arm_batch import open_dataset
from arm_batch.errors import ArmBatchError, OutputError
from tests.sequences.commands import TRACEBACK, Ended, Settings, run_status, run_verify
from tests.sequences.disk import Disk
from tests.sequences.documents import Documents, image_of
from tests.sequences.inputs import Inputs
from tests.sequences.mortal import Driver, driven
from tests.sequences.pixels import tiles, untrue
from tests.sequences.toy import COSTS

Tree = Mapping[str, bytes]
"""Files and their bytes."""

UNFINISHED = ("the run was not finished", "no record names it", "does not name the parts that count")
"""What `verify` says of an output whose last step was broken off; starting again mends it."""


@dataclass(frozen=True)
class Damage:
    """What a user did to a file, while it lasts.

    Attributes:
        key: of the file.
        before: its bytes.
        after: None where it is gone.
        paths: inputs that are done again when it is repaired.
    """

    key: str
    before: bytes
    after: bytes | None
    paths: frozenset[str]


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        sound: the ETag of the source of each row that is ok and so.
        failed: the same of rows that failed.
        documents: of the output as it was before it was damaged.
        needed: keys without which what the output says is not so.
        findings: what must not be.
        verified: exit code of `verify`.
        tree: all files, and their bytes.
    """

    sound: dict[str, str]
    failed: dict[str, str]
    documents: Documents
    needed: frozenset[str]
    findings: tuple[str, ...]
    verified: int
    tree: Tree


@dataclass(frozen=True)
class Told:
    """What the package says of an output, which follows from its files alone.

    Attributes:
        tree: the files.
        rows: of the output, and what of them cannot be read.
        verify: of ``arm-batch verify``.
        status: of ``arm-batch status``.
    """

    tree: Tree
    rows: tuple[list[dict[str, Any]], str]
    verify: Ended
    status: Ended


@dataclass
class Oracle:
    """Looks at one output.

    Attributes:
        inputs: that it is made from.
        output: where it lies.
        settings: of the commands on it.
        damages: that last.
        added: shares that were added to the budget.
        touched: keys that were ever damaged.
    """

    inputs: Inputs
    output: Disk
    settings: Settings
    damages: list[Damage] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    _told: Told | None = field(default=None, repr=False)

    def look(self) -> Look:
        """Read everything."""
        tree = self._tree()
        # First, as a record that was made again names other files than it did before its damage.
        self.damages = [damage for damage in (self._now(d, tree) for d in self.damages) if damage]
        documents = self._documents(tree)
        needed = frozenset(documents.needed())
        self.damages = [
            damage
            for damage in self.damages
            if damage.key in needed and not (damage.after is None and documents.is_unused(damage.key))
        ]
        said = self._said(tree)
        rows, unreadable = said.rows
        told = [unreadable] if unreadable and not self.damages else []
        sound: dict[str, str] = {}
        failed: dict[str, str] = {}
        affected = {path for damage in self.damages for path in damage.paths}
        for row in rows:
            wrong = list(untrue(row, image_of(documents, tree.get, row), self.inputs))
            if row["path"] not in affected:
                told += [f"{row['path']}: {line}" for line in wrong]
            if not wrong:
                (sound if row["status"] == "ok" else failed)[row["path"]] = row["source_etag"]
        paths = [row["path"] for row in rows]
        told += [f"{path} has {paths.count(path)} rows" for path in sorted(set(paths)) if paths.count(path) > 1]
        told += [] if self.damages else self._overspent(documents, rows)
        told += self._judge(said.verify, documents) if documents.generations else ()
        told += self._status(said) if documents.generations else ()
        verified = said.verify.code if documents.generations else 0
        return Look(sound, failed, documents, needed, tuple(told), verified, tree)

    def _said(self, tree: Tree) -> Told:
        """What the package says of an output; of the same files it says the same."""
        if self._told is None or self._told.tree != tree:
            looking = Driver()
            with driven(looking):
                self._told = Told(tree, self._rows(), run_verify(self.settings), run_status(self.settings))
            assert not looking.writes, "`verify`, `status` or a reader of the rows has written something"
        return self._told

    def _tree(self) -> Tree:
        found = {key: self.output.read(key) for key in self.output.names()}
        return {key: data for key, data in found.items() if data is not None}

    def _now(self, damage: Damage, tree: Tree) -> Damage | None:
        """What is left of a damage: a repair takes away what is to be made again."""
        now = tree.get(damage.key)
        if now is None and is_still_to_do(damage.key, damage.before, tree):
            return None
        return replace(damage, after=now) if now in (None, damage.after) else None

    def _documents(self, tree: Tree) -> Documents:
        """Of the output, as if nothing had been damaged."""
        whole = {**tree, **{damage.key: damage.before for damage in self.damages}}
        return Documents(whole.get, sorted(whole))

    def _rows(self) -> tuple[list[dict[str, Any]], str]:
        try:
            table = open_dataset(self.settings.output, endpoint_url=self.settings.endpoint_url)
            columns = [*table.schema.names, "__filename"]
            return table.to_table(columns=columns, use_threads=False).to_pylist(), ""
        except OutputError:
            return [], ""
        except (ArmBatchError, OSError, pa.ArrowException) as error:
            return [], f"the rows cannot be read: {error}"

    def _overspent(self, documents: Documents, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
        for generation in documents.generations:
            number = generation["number"]
            own = {record.done for record in documents.records if record.generation == number}
            spent = sum(r["flops"] for r in rows if "data/" + r["__filename"].rpartition("/data/")[2] in own)
            revisions = documents.revisions(number)
            if not revisions:
                continue
            most = sum(
                tiles(self.inputs.bytes_of(entry["path"], entry["etag"]))
                for entry in documents.listing(number)
                if entry["copy_of"] is None
            )
            full, total = revisions[0]["full_flops"], revisions[-1]["budget_flops"]
            allowed = _flops(generation["settings"]["budget"], full)
            allowed = allowed if generation["cap_flops"] is None else min(allowed, generation["cap_flops"])
            allowed += sum(_flops(added, full) for added in self.added)
            if full > most * COSTS[-1]:
                yield f"generation {number}: {full} FLOPs for all, but its images have {most} tiles"
            if total > allowed:
                yield f"generation {number}: {total} FLOPs are to be spent, {allowed} were allowed"
            if spent > total:
                yield f"generation {number}: {spent} FLOPs are spent of {total}"

    def _judge(self, ended: Ended, documents: Documents) -> Iterator[str]:
        """`verify` finds what is damaged, and nothing where nothing is."""
        if ended.code == TRACEBACK:
            yield f"verify: {ended.error}"
            return
        told = [line for line in ended.out.splitlines()[:-1] if not any(word in line for word in UNFINISHED)]
        for damage in self.damages:
            if not told and ended.code not in (1, 2) and not _is_finish(damage, ended.out):
                yield f"verify does not find the damage of {damage.key}: {ended.out}"
        if not self.damages and (told or ended.code not in (0, 4)):
            yield f"verify accuses what is sound: {ended.out}{ended.error}"
        if not self.damages and ended.code == 0 and not documents.complete:
            yield "verify says that all is done, but it is not"

    def _status(self, said: Told) -> Iterator[str]:
        ended, verified = said.status, said.verify
        if ended.code == TRACEBACK or ("\n" in ended.error.strip()):
            yield f"status: {ended.error}"
        if not self.damages and ended.code not in (0, 4):
            yield f"status: {ended.code} {ended.error}"
        if not self.damages and verified.code == 0 and ended.code != 0:
            yield f"status says that something is left, verify does not: {ended.out}"


def is_still_to_do(key: str, before: bytes, tree: Tree) -> bool:
    """Whether without this file its shard is just still to do.

    Not where it is the record of a retry, and the failed rows that it replaced have been removed since; or where
    that of these rows cannot be read.
    """
    origin = json.loads(before)["origin"] if key.startswith("commits/") else None
    record = None if origin is None else tree.get(f"commits/{origin}.json")
    try:
        failed = None if record is None else json.loads(record)["failed"]
    except ValueError:
        return False
    return key.startswith("commits/") and (failed is None or failed["key"] in tree)


def _is_finish(damage: Damage, told: str) -> bool:
    return damage.key == "manifest.json" and any(word in told for word in UNFINISHED)


def _flops(budget: str, full: int) -> int:
    if budget.endswith("%"):
        return int(Decimal(budget[:-1]) / 100 * full)
    return int(Decimal(budget.removesuffix("FLOP")))
