"""How fast are subnets in each runtime, next to PyTorch as it runs them by itself?

    python benchmarks/runtimes.py [--ladders mixed-x4] [--subnets plain-48] [--precisions fp32 bf16]
        [--batches 4 8 16] [--rounds 7]

One core. All variants of a subnet take turns in this one run, and what is told is the median over the rounds of
the ratio of CPU seconds: what else the machine does slows all of them alike. ``bf16`` is worth asking for on
processors that multiply it (AMX, AVX512-BF16); elsewhere a runtime may emulate it or refuse.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from arm_batch.models.ladder_files import load_ladder
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.open import is_there
from arm_batch.models.runtimes.pytorch import TorchRuntime
from arm_batch.models.throughput import hardware
from arm_batch.spec import Engine, Precision

Run = Callable[[Tensor], Tensor]

WINDOWS = 48
"""Of each round."""

REFERENCE = ("torch", "fp32", 16)


def main() -> None:
    """Print a table: subnet, runtime, precision, batch, tiles a CPU second, and the ratio to the reference."""
    arguments = _arguments()
    torch.set_num_threads(1)
    print(hardware("cpu", Engine()))
    print("| subnet | runtime | precision | batch | tiles per CPU second | ratio |\n|---|---|---|---|---|---|")
    for name, net, window in _subnets(arguments.ladders, arguments.subnets):
        runs = {
            (runtime, precision, batch): run
            for precision in arguments.precisions
            for batch in sorted({*arguments.batches, REFERENCE[2]})
            for runtime, run in _variants(net, window, precision, batch)
        }
        for key, (speed, ratio) in _measure(runs, window, arguments.rounds).items():
            print(f"| {name} | {' | '.join(map(str, key))} | {speed:.1f} | {ratio:.2f} |", flush=True)


def _measure(
    runs: dict[tuple[str, str, int], Run], window: int, rounds: int
) -> dict[tuple[str, str, int], tuple[float, float]]:
    seconds: dict[tuple[str, str, int], list[float]] = {key: [] for key in runs}
    pixels = torch.from_numpy(np.random.default_rng(0).random((WINDOWS, window, window, 3), np.float32))
    for number in range(1 + rounds):
        for key, run in runs.items():
            started = time.process_time()
            for part in torch.split(pixels, key[2]):
                run(part)
            # The first round warms up.
            if number:
                seconds[key].append((time.process_time() - started) / WINDOWS)
    return {
        key: (
            1 / statistics.median(each),
            statistics.median(r / s for r, s in zip(seconds[REFERENCE], each, strict=True)),
        )
        for key, each in seconds.items()
    }


def _variants(net: SubnetRung, window: int, precision: Precision, batch: int) -> Iterator[tuple[str, Run]]:
    eager = TorchRuntime("cpu", 1, precision).materialise(net, window)

    def run_eager(windows: Tensor) -> Tensor:
        with torch.inference_mode():
            return eager(windows, None)

    yield "torch", run_eager
    if is_there("openvino"):
        from arm_batch.models.runtimes.openvino import OpenVinoRuntime

        compiled = OpenVinoRuntime(1, batch=batch, precision=precision).materialise(net, window)
        yield "openvino", lambda windows: compiled(windows, None)


def _subnets(ladders: list[str], names: list[str]) -> Iterator[tuple[str, SubnetRung, int]]:
    left = set(names)
    for ladder in ladders:
        files = load_ladder(ladder)
        for subnet, net in zip(files.ladder.subnets, files.nets, strict=True):
            if isinstance(net, SubnetRung) and subnet.name in left:
                left.remove(subnet.name)
                yield subnet.name, net, files.ladder.grid.window


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ladders", nargs="+", default=["fsrcnn-x4", "carn-x4", "srresnet-x4", "mixed-x4"])
    parser.add_argument("--subnets", nargs="+", default=["fsrcnn-56", "plain-48", "carn-64", "srresnet-64"])
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if "fp32" not in arguments.precisions:
        arguments.precisions.insert(0, "fp32")
    return arguments


if __name__ == "__main__":
    main()
