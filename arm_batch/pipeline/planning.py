"""Planning the shards of a generation, and whether a stage is through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from arm_batch.core.progress import Done, Entered, Manned
from arm_batch.core.stop import Stop
from arm_batch.errors import StoppedError, StoreError
from arm_batch.execution.messages import ShardSummary
from arm_batch.execution.protocol import Executor
from arm_batch.pipeline.telling import Telling
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.listing import read_shards
from arm_batch.runstate.shard_plan import Shard, ShardId
from arm_batch.storage.base import ObjectStore


def unplanned_shards(store: ObjectStore, generation: Generation, kept: set[int]) -> Iterator[Shard]:
    """The shards of a generation, in order, but for those whose plans are kept, by number."""
    if len(kept) < generation.shards:
        yield from (shard for shard in read_shards(store, generation) if shard.id.index not in kept)


def plan_shards(
    executor: Executor,
    generation: Generation,
    kept: set[int],
    unplanned: Iterable[Shard],
    telling: Telling,
    stop: Stop,
) -> list[ShardSummary]:
    """Plan the shards of a generation.

    Args:
        executor: where to.
        generation: whose.
        kept: numbers of those that an earlier attempt has planned.
        unplanned: the others.
        telling: told of each.
        stop: asked between them.

    Returns:
        The summaries of all shards, in order.

    Raises:
        StoppedError: `stop` said so first.
    """
    summaries: dict[int, ShardSummary] = {}

    def note(summary: ShardSummary) -> None:
        summaries[summary.shard.index] = summary
        telling(
            Done(
                shards=1,
                images=summary.images,
                failed=len(summary.failures),
                tiles=int(summary.histogram.tiles.sum()),
            ),
            Manned(executor.workers()),
        )

    telling(Entered("plan", generation.name, generation.shards, generation.images))
    for summary in executor.summarize([ShardId(generation.number, index) for index in sorted(kept)]):
        note(summary)
    for summary in executor.plan(unplanned, stop):
        note(summary)
    check_done(stop, "plan", generation, len(summaries))
    return [summaries[index] for index in range(generation.shards)]


def check_done(stop: Stop, stage: str, generation: Generation, done: int) -> None:
    """Refuse to go on where a stage is not through.

    Args:
        stop: whether somebody wanted that.
        stage: which.
        generation: of the shards.
        done: shards that are through.

    Raises:
        StoppedError: `stop` said so.
        StoreError: nobody did.
    """
    if done == generation.shards:
        return
    if stop():
        raise StoppedError(
            f"stopped with {done:,} of {generation.shards:,} shards through the stage `{stage}`; nothing is lost: "
            "run the same command again to go on"
        )
    raise StoreError(
        f"{generation.shards - done} shards of {generation.name} came to nothing in the stage `{stage}`"
    )
