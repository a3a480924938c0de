"""The budget of a run: sees the whole archive's scores, allocates once, and keeps the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import numpy as np

from arm_batch.core.allocate import Allocation, Counts, allocate
from arm_batch.core.budget import Budget
from arm_batch.core.ladder import Ladder
from arm_batch.core.ledger import Ledger
from arm_batch.core.share_out import share_out
from arm_batch.errors import OutputError
from arm_batch.store.objects import ObjectStore

ALLOCATION_KEY = "plan/allocation.json"


@dataclass(frozen=True)
class Verdict:
    """What the budget came to.

    Attributes:
        allocation: over the archive.
        total: FLOPs that may be spent.
        full: FLOPs of the largest subnet everywhere.
        psnr_predicted_db: from the pooled predicted error; ``None`` when no image could be read.
    """

    allocation: Allocation
    total: int
    full: int
    psnr_predicted_db: float | None


class ArchiveBudget:
    """One run's budget. Every method may be called again with the same arguments without further effect.

    Args:
        ladder: costs and predictions.
        budget: the bound.
        output: where the allocation is written.
        run_id: of the run.
        settings: of the run, written beside the allocation so that another run can name what differs.
    """

    def __init__(
        self, ladder: Ladder, budget: Budget, output: ObjectStore, run_id: str, settings: dict[str, str]
    ) -> None:
        self._ladder = ladder
        self._budget = budget
        self._output = output
        self._run_id = run_id
        self._settings = settings
        self._histograms: dict[int, Counts] = {}
        self._shares: dict[int, Counts] = {}
        self._ledger = Ledger(0)

    def register(self, shard: int, histogram: Counts) -> None:
        """Take in the tiles per score bin of one shard."""
        self._histograms[shard] = histogram

    def allocate(self) -> Verdict:
        """Allocate over everything registered, share it out among the shards, and write it down.

        Raises:
            BudgetError: no plan meets the budget; nothing is written.
            OutputError: the output holds the allocation of another run.
        """
        order = sorted(self._histograms)
        histograms = np.stack([self._histograms[shard] for shard in order])
        histogram = histograms.sum(axis=0)
        full = int(histogram.sum()) * int(self._ladder.costs[-1])
        total = self._budget.flops(full)
        lut = self._ladder.lut
        classes = allocate(histogram[None], -lut.mse, np.ones(1), self._ladder.costs, total)
        allocation = replace(classes, tiles=classes.tiles[0])
        psnr = lut.psnr_of(allocation.tiles, int(histogram.sum())) if histogram.any() else None
        self._shares = dict(zip(order, share_out(allocation.tiles, histograms), strict=True))
        self._ledger = Ledger(total)
        verdict = Verdict(allocation, total, full, psnr)
        self._persist(verdict)
        return verdict

    def begin(self, shard: int) -> Counts:
        """Reserve what a shard's share costs and return the share, ``(n_bins, n_subnets)``."""
        share = self._shares[shard]
        self._ledger.reserve(str(shard), int(share.sum(axis=0) @ self._ladder.costs))
        return share

    def settle(self, shard: int, flops: int) -> None:
        """Note what a shard really spent; the rest of its reservation is free again."""
        self._ledger.settle(str(shard), flops)

    def spent(self) -> int:
        """FLOPs settled so far."""
        return self._ledger.spent

    def _persist(self, verdict: Verdict) -> None:
        allocation = replace(verdict.allocation, tiles=np.empty(0, np.int64))
        document = {
            "run_id": self._run_id,
            "settings": self._settings,
            "budget_flops": verdict.total,
            "full_flops": verdict.full,
            "psnr_predicted_db": verdict.psnr_predicted_db,
            **asdict(allocation),
            "tiles": verdict.allocation.tiles.tolist(),
        }
        data = (json.dumps(document, indent=1) + "\n").encode()
        if not self._output.create(ALLOCATION_KEY, data) and self._output.read(ALLOCATION_KEY) != data:
            raise OutputError(f"{self._output.url} holds the allocation of another run")
