"""Opening a runtime by its name."""

from __future__ import annotations

import importlib.util
import platform

from arm_batch.errors import UsageError
from arm_batch.models.runtimes.protocol import Runtime
from arm_batch.models.runtimes.pytorch import TorchRuntime
from arm_batch.spec import Engine, RuntimeName

DEVICES = ("cpu", "cuda")


def is_there(runtime: RuntimeName) -> bool:
    """Whether this machine has a runtime for its CPU."""
    return runtime == "torch" or importlib.util.find_spec("openvino") is not None


def check_there(runtime: RuntimeName) -> None:
    """Refuse a runtime that this machine lacks.

    Raises:
        UsageError: it does; says what to do.
    """
    if not is_there(runtime):
        raise UsageError(
            f"{platform.node()} has no OpenVINO, which this run needs: `pip install 'arm-batch[openvino]'` there, "
            "or begin another run with --runtime torch"
        )


def open_runtime(engine: Engine, device: str, threads: int) -> Runtime:
    """A runtime on a device.

    Args:
        engine: its runtime is that of CPUs; GPUs have PyTorch alone.
        device: one of `DEVICES`.
        threads: of each pass on a CPU.

    Raises:
        UsageError: this machine lacks it.
    """
    if device != "cpu" or engine.runtime == "torch":
        return TorchRuntime(device, threads, engine.precision)
    check_there(engine.runtime)
    from arm_batch.models.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(threads, precision=engine.precision)
