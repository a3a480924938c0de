"""Reading an output back: is all there, whole, and as the plan and the records say?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from arm_batch.errors import StoreError
from arm_batch.store.allocation import Verdict, allocation_key, read_allocation
from arm_batch.store.commit import COMMITS, commit_key, listed, visible_parts
from arm_batch.store.generation import Generation, read_shards
from arm_batch.store.manifest import MANIFEST_KEY, missing_shards, read_manifest
from arm_batch.store.objects import ObjectStore
from arm_batch.store.plan import ShardId, plan_key, planned
from arm_batch.store.sinks import DATA
from arm_batch.store.verify_shard import Findings, Problem, verify_shard


@dataclass(frozen=True)
class Verification:
    """What reading an output back came to.

    Attributes:
        problems: all that is wrong.
        images: rows that count.
        failed: rows among them with the status ``failed``.
        left: shards still to do.
    """

    problems: tuple[Problem, ...]
    images: int
    failed: int
    left: int


def verify_store(store: ObjectStore, generations: Sequence[Generation]) -> Verification:
    """Read back every plan, record, part and image of an output.

    Raises:
        StoreError: the store cannot be reached.
    """
    problems: list[Problem] = []
    verdicts: dict[int, Verdict] = {}
    for generation in generations:
        problems += _verify_listing(store, generation)
        try:
            found = read_allocation(store, generation)
        except StoreError as error:
            problems.append(Problem(allocation_key(generation), str(error), "none"))
            continue
        if found is not None:
            verdicts[generation.number] = found[0]
            problems += _verify_plans(store, generation)
    shards = listed(store)
    costs = {number: verdict.costs for number, verdict in verdicts.items()}
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        each = list(readers.map(lambda s: verify_shard(store, s, costs.get(s.generation, ())), sorted(shards)))
    problems += [problem for findings in each for problem in findings.problems]
    problems += _verify_ledger(generations, verdicts, each)
    problems += _verify_rows(each)
    problems += _verify_strays(generations, shards)
    left = missing_shards(generations, shards)
    if not left and all(findings.commit is not None for findings in each):
        problems += _verify_end(store, each)
    images, failed = _rows(each)
    return Verification(tuple(problems), sum(images.values()), sum(failed.values()), len(left))


def _verify_listing(store: ObjectStore, generation: Generation) -> Iterator[Problem]:
    try:
        read_shards(store, generation)
    except StoreError as error:
        yield Problem(generation.listing, str(error), "none")


def _verify_plans(store: ObjectStore, generation: Generation) -> Iterator[Problem]:
    for index in sorted(set(range(generation.shards)) - planned(store, generation.number)):
        lost = ShardId(generation.number, index)
        yield Problem(plan_key(lost), "the plan of this shard is missing", "plan again", lost)


def _verify_ledger(
    generations: Sequence[Generation], verdicts: Mapping[int, Verdict], each: Sequence[Findings]
) -> Iterator[Problem]:
    """No generation spent more than it was allocated, and none was allocated more than its budget."""
    for generation in generations:
        verdict = verdicts.get(generation.number)
        commits = [
            f.commit for f in each if f.commit is not None and f.commit.shard.generation == generation.number
        ]
        spent = sum(commit.flops for commit in commits)
        if verdict is None:
            if commits:
                key = allocation_key(generation)
                yield Problem(key, f"{len(commits)} shards are committed without an allocation", "none")
            continue
        allocation = verdict.allocation
        if (
            int(allocation.tiles.sum(axis=0) @ verdict.costs) != allocation.spend
            or allocation.spend > verdict.total
        ):
            yield Problem(allocation_key(generation), "its spend does not fit its tiles and budget", "none")
        if spent > allocation.spend:
            told = f"{spent:,} FLOPs are spent, {allocation.spend:,} were allocated"
            yield Problem(f"{COMMITS}{generation.name}", told, "none")


def _verify_rows(each: Sequence[Findings]) -> Iterator[Problem]:
    images, _ = _rows(each)
    for path, count in images.items():
        if count > 1:
            yield Problem(DATA, f"{path} has {count} rows", "none")


def _rows(each: Sequence[Findings]) -> tuple[Counter[str], Counter[str]]:
    """How many rows that count each input has, and how many of these failed."""
    replaced = {findings.commit.origin for findings in each if findings.commit is not None}
    images: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for findings in each:
        images.update(findings.done)
        if findings.commit is not None and findings.commit.shard not in replaced:
            images.update(findings.failed)
            failed.update(findings.failed)
    return images, failed


def _verify_strays(generations: Sequence[Generation], shards: set[ShardId]) -> Iterator[Problem]:
    everything = {ShardId(g.number, index) for g in generations for index in range(g.shards)}
    for stray in sorted(shards - everything):
        yield Problem(commit_key(stray), "no generation has this shard", "again", stray)


def _verify_end(store: ObjectStore, each: Sequence[Findings]) -> Iterator[Problem]:
    """Once all is committed there is a manifest, and nothing in ``data/`` that it does not name."""
    parts = visible_parts(findings.commit for findings in each if findings.commit is not None)
    try:
        manifest = read_manifest(store)
    except StoreError as error:
        yield Problem(MANIFEST_KEY, str(error), "finish")
        return
    if manifest is None:
        yield Problem(MANIFEST_KEY, "all is committed, but the run was not finished: start it again", "finish")
        return
    if [part["key"] for part in manifest.get("parts", [])] != [part.key for part in parts]:
        yield Problem(MANIFEST_KEY, "does not name the parts that count", "finish")
    named = {part.key for part in parts}
    for info in store.list(DATA):
        if info.key not in named:
            yield Problem(info.key, "no record names it", "finish")
