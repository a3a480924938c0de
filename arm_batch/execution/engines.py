"""What runs the nets of a run: decided once, before it begins, and recorded, as it shows in the last bits."""

from __future__ import annotations

from itertools import product

from arm_batch.core.allocation.deadline import CPU
from arm_batch.execution.choice import choose_executor, is_cluster_named
from arm_batch.execution.profiling import speed_key
from arm_batch.execution.speed_cache import cache_file, recall, remember
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.native import multiplies_bf16
from arm_batch.models.runtimes.open import check_there, is_there
from arm_batch.models.throughput import compare_engines, hardware
from arm_batch.spec import Engine, PlanSpec, Precision, RuntimeName

RUNTIMES: tuple[RuntimeName, ...] = ("torch", "openvino")

MOST_LOST_DB = 0.02
"""What bf16 may cost any subnet where nobody asked for it."""


def choose_engine(plan: PlanSpec, files: LadderFiles) -> Engine:
    """The engine that was asked for; where that leaves a choice, the fastest on a core of this machine.

    The largest subnet is measured on each, which takes some seconds, unless that was done lately.

    Args:
        plan: what is asked for.
        files: the ladder.

    Raises:
        UsageError: this machine lacks what was asked for.
        ClusterError: there is no cluster where one is named.
    """
    candidates = [Engine(*each) for each in product(_runtimes(plan, files), _precisions(plan, files))]
    if len(candidates) == 1:
        return candidates[0]
    machine = "; ".join(hardware("cpu", engine) for engine in candidates)
    key, path = speed_key(CPU, f"largest subnet on {machine}", 1, files.ladder), cache_file()
    # In the form of speeds: nothing for interpolation, then what is compared.
    seconds = recall(path, key, 1 + len(candidates))
    if seconds is None:
        seconds = [0.0, *compare_engines(files, candidates)]
        remember(path, {key: seconds})
    return candidates[min(range(len(candidates)), key=lambda index: seconds[1 + index])]


def _runtimes(plan: PlanSpec, files: LadderFiles) -> list[RuntimeName]:
    """Those in question; models of a user's run in what they are written for, whatever runs subnets."""
    if plan.runtime != "auto":
        check_there(plan.runtime)
        return [plan.runtime]
    if not any(isinstance(net, SubnetRung) for net in files.nets):
        return ["torch"]
    return [runtime for runtime in RUNTIMES if is_there(runtime)]


def _precisions(plan: PlanSpec, files: LadderFiles) -> list[Precision]:
    """Those in question; bf16 where the ladder is known to lose nothing by it, and all machines multiply it."""
    if plan.precision != "auto":
        return [plan.precision]
    lost = files.bf16_loss_db
    if lost is None or max(lost) > MOST_LOST_DB or not _all_multiply_bf16(plan):
        return ["fp32"]
    return ["fp32", "bf16"]


def _all_multiply_bf16(plan: PlanSpec) -> bool:
    if choose_executor(plan.executor).executor == "ray" and is_cluster_named():
        # Ray takes a second to load.
        from arm_batch.execution.ray.nodes import all_multiply_bf16

        return all_multiply_bf16()
    return multiplies_bf16()
