"""Whether a machine multiplies bfloat16 by itself; one that does not is many times as slow at it as at float32."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""As Linux names them: two of x86, one of Arm."""


def multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU of this machine and its GPUs, if it has any, all do."""
    return _has_cpu(cpuinfo) and _have_gpus()


def _has_cpu(cpuinfo: Path) -> bool:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return bool(CPU_FLAGS & set(next(flags, [])))


def _have_gpus() -> bool:
    numbers = range(torch.cuda.device_count())
    # The first with tensor cores for it was Ampere.
    return all(torch.cuda.get_device_capability(number) >= (8, 0) for number in numbers)
