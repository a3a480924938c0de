"""Which runtime a run uses on CPUs: decided once, before it begins, and recorded, as it shows in the last bits."""

from __future__ import annotations

from arm_batch.core.allocation.deadline import CPU
from arm_batch.execution.profiling import speed_key
from arm_batch.execution.speed_cache import cache_file, recall, remember
from arm_batch.models.ladder_files import LadderFiles
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.open import check_there, is_there
from arm_batch.models.throughput import compare_runtimes, hardware
from arm_batch.spec import RuntimeName, RuntimeWish

CANDIDATES: tuple[RuntimeName, ...] = ("torch", "openvino")


def choose_runtime(wish: RuntimeWish, files: LadderFiles) -> RuntimeName:
    """The runtime that was asked for; with ``auto`` the one that is faster on a core of this machine.

    The largest subnet is measured on each, which takes some seconds, unless that was done lately.

    Args:
        wish: as of `PlanSpec`.
        files: the ladder.

    Raises:
        UsageError: this machine lacks what was asked for.
    """
    if wish != "auto":
        check_there(wish)
        return wish
    if not all(map(is_there, CANDIDATES)) or not any(isinstance(net, SubnetRung) for net in files.nets):
        return "torch"
    machine = "; ".join(hardware("cpu", runtime) for runtime in CANDIDATES)
    key, path = speed_key(CPU, f"largest subnet on {machine}", 1, files.ladder), cache_file()
    # In the form of speeds: nothing for interpolation, then what is compared.
    seconds = recall(path, key, 1 + len(CANDIDATES))
    if seconds is None:
        seconds = [0.0, *compare_runtimes(files, CANDIDATES)]
        remember(path, {key: seconds})
    return min(CANDIDATES, key=lambda runtime: seconds[1 + CANDIDATES.index(runtime)])
