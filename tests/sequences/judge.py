"""Whether a command ended as it should, given what was there before and what is there after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from arm_batch.cli import exit_codes
from tests.sequences.commands import KILLED, TRACEBACK, Ended
from tests.sequences.oracle import Damage, Look, Oracle, Tree

DONE = (0, exit_codes.FAILED_IMAGES)

REFUSALS = (
    "interpolation alone needs",
    "nothing is left of the budget",
    "every image is done",
    "holds no run whose budget",
    "holds no image",
    "does not exist",
    "no plan meets",
)
"""What a user is told who asks for what makes no sense."""

OVERTAKEN = ("start again",)
"""What a driver says whom another has overtaken."""


@dataclass(frozen=True)
class Before:
    """What there was before a command, and the command.

    Attributes:
        look: of the oracle.
        damages: that lasted.
        flags: of the command.
        budget: of the command.
    """

    look: Look
    damages: tuple[Damage, ...]
    flags: Mapping[str, Any]
    budget: str


def judged(before: Before, ended: Ended, now: Look, oracle: Oracle, guests: list[Ended] | None) -> Iterator[str]:
    """What must not be after a command, a line for each."""
    yield from _lost(before, now, ended.code in (*DONE, exit_codes.USAGE) and not guests)
    for guest in guests or []:
        yield from judged_guest(guest)
        yield from _failed(guest, before, now.tree, oracle, alone=False)
    if ended.code == TRACEBACK:
        yield ended.error
    elif ended.code in DONE:
        yield from _done(before, ended, now, oracle, guests)
        yield from _manifest(now, oracle, guests)
    elif ended.code != KILLED:
        yield from _failed(ended, before, now.tree, oracle, alone=not guests)


def judged_guest(ended: Ended) -> Iterator[str]:
    """What must not become of any command."""
    if ended.code == TRACEBACK:
        yield ended.error


def _lost(before: Before, now: Look, ended: bool) -> Iterator[str]:
    """What was sound stays. What is done again, since something beside it is damaged, may be away meanwhile."""
    again = set() if ended else {path for damage in before.damages for path in damage.paths}
    for path, etag in before.look.sound.items():
        if path not in again and now.sound.get(path) != etag:
            yield f"{path}: its row was sound and is lost"


def _failed(ended: Ended, before: Before, tree: Tree, oracle: Oracle, alone: bool) -> Iterator[str]:
    if ended.code in (exit_codes.USAGE, exit_codes.CRASH) and (not ended.error or "\n" in ended.error):
        yield f"not one line: {ended.error!r}"
    if ended.code == exit_codes.CRASH and not before.damages and not _names_other_plan(ended, oracle):
        if alone or not any(word in ended.error for word in OVERTAKEN):
            yield f"nothing is damaged, but: {ended.error}"
    elif (
        ended.code == exit_codes.CRASH
        and "repair" in before.flags
        and alone
        and not _names_damage(ended)
        and tree != before.look.tree
    ):
        yield f"--repair broke off: {ended.error}"
    if ended.code == exit_codes.USAGE and not any(word in ended.error for word in REFUSALS):
        if not before.damages:
            yield f"refused what makes sense: {ended.error}"
        elif alone and not _may_have_begun(ended, before) and tree != before.look.tree:
            yield f"refused, but something has changed: {ended.error}"


def _names_other_plan(ended: Ended, oracle: Oracle) -> bool:
    """Whether it told of a lost plan that cannot be made again, or was so before a death, of other images."""
    told = any(words in ended.error for words in ("has other tiles than were allocated", "cannot be made again"))
    return told and any(key.startswith("plan/") and "/shards/" in key for key in oracle.touched)


def _names_damage(ended: Ended) -> bool:
    """Whether it told of damage that stays, since to mend it would lose what is sound."""
    return any(words in ended.error for words in ("is not what was committed", "cannot be made again"))


def _may_have_begun(ended: Ended, before: Before) -> bool:
    """Whether it may have repaired something before it was refused."""
    return "repair" in before.flags and "cannot be repaired" not in ended.error


def _manifest(now: Look, oracle: Oracle, guests: list[Ended] | None) -> Iterator[str]:
    """Nothing says that all is done as long as it is not, but where a driver died between two of its writes."""
    died = any(guest.code == KILLED for guest in guests or [])
    if "manifest.json" in now.tree and not now.documents.complete and not oracle.damages and not died:
        yield "there is a manifest, but a generation is unfinished"


def _done(before: Before, ended: Ended, now: Look, oracle: Oracle, guests: list[Ended] | None) -> Iterator[str]:
    alone = not guests
    if oracle.damages:
        if "repair" in before.flags:
            yield f"repaired, but damage remains: {[damage.key for damage in oracle.damages]}"
        return
    if not alone and not now.documents.complete:
        # What the other has begun meanwhile is the other's to end.
        return
    wanted = {e["path"] for g in now.documents.generations for e in now.documents.listing(g["number"])}
    found = {*now.sound, *now.failed}
    if not now.documents.complete or wanted != found:
        yield f"done, but {sorted(wanted ^ found)} are left undone"
    died = any(guest.code == KILLED for guest in guests or [])
    if now.verified != 0 and not (died and now.verified == exit_codes.UNDONE):
        # One that died before it had finished what it began leaves that to whoever comes next.
        yield "done, but verify says that it is not"
    # What another does after this one has counted, this one cannot tell of.
    overtaken = any(guest.code not in (exit_codes.USAGE, exit_codes.CRASH) for guest in guests or [])
    if (ended.code == 0) != (not now.failed) and not overtaken:
        yield f"exit code {ended.code}, but {len(now.failed)} rows failed"
    inputs = oracle.inputs
    if "extend" in before.flags and alone and not set(inputs.now) <= found:
        yield f"{sorted(set(inputs.now) - found)} were not taken up"
    if "retry_failed" in before.flags and alone:
        for path, etag in now.failed.items():
            if inputs.etag(path) not in (None, etag):
                yield f"{path} was not tried again"
