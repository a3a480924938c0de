"""OpenVINO on CPUs: layers are fused, and weights laid out once for the shape that they will meet."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from arm_batch.models.borders import Bordered
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes.exports import exported, net_digest
from arm_batch.models.runtimes.protocol import Forward
from arm_batch.spec import Precision

if TYPE_CHECKING:
    import openvino

BATCH = 8
"""Windows of every pass, a shorter one being filled up with black: one shape, so that a tile's bytes do not depend
on what runs beside it. Passes of 16 are hardly faster, and waste more on filling up."""

Shapes = tuple[tuple[int, ...], ...]
"""Of what a model takes: windows and, where it is told of borders, what of each lies in the image."""

HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoRuntime:
    """Compiled models of one shape.

    Args:
        threads: of each pass.
        batch: windows of each pass.
        precision: of products.
    """

    def __init__(self, threads: int, *, batch: int = BATCH, precision: Precision = "fp32") -> None:
        import openvino

        torch.set_num_threads(threads)
        self._core = openvino.Core()
        self._batch = batch
        self._threads = threads
        self._options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Each process would pin itself to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }

    @property
    def device(self) -> torch.device:
        """See `Runtime`."""
        return torch.device("cpu")

    @property
    def threads(self) -> int:
        """See `Runtime`."""
        return self._threads

    @property
    def batch(self) -> int:
        """See `Runtime`."""
        return self._batch

    def materialise(self, net: SubnetRung, window: int) -> Forward:
        """See `Runtime`; it runs windows of this size only. What knows borders is compiled when first needed."""
        digest = net_digest(net)[:32]
        shapes = tuple((self._batch, window, window, channels) for channels in (3, 1))
        passes = {False: self._compiled(net, digest, shapes[:1])}

        def forward(windows: Tensor, inside: Tensor | None) -> Tensor:
            if inside is None:
                return passes[False](windows)
            if True not in passes:
                passes[True] = self._compiled(net, digest, shapes)
            return passes[True](windows, inside)

        return forward

    def _compiled(self, net: SubnetRung, digest: str, shapes: Shapes) -> Callable[..., Tensor]:
        """A subnet that takes tensors of these shapes, or fewer windows; warm."""
        version = importlib.metadata.version("openvino")
        name = f"openvino-{version}-{digest}-{'x'.join(map(str, shapes[0]))}{'-borders' * (len(shapes) - 1)}"
        folder = exported(name, lambda into: _export(net, shapes, into / "net.xml"))
        model = _convert(net, shapes) if folder is None else str(folder / "net.xml")
        request = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        filled = [np.zeros(shape, np.float32) for shape in shapes]

        def run(*given: Tensor) -> Tensor:
            count = len(given[0])
            inputs = [tensor.numpy() for tensor in given]
            if count < self._batch:
                for whole, part in zip(filled, inputs, strict=True):
                    whole[:count] = part
                    whole[count:] = 0
                inputs = filled
            outputs: np.ndarray[Any, Any] = request.infer(inputs, share_inputs=True, share_outputs=True)[0]
            return torch.from_numpy(outputs[:count])

        run(*(torch.zeros(shape) for shape in shapes))
        return run


class _ChannelsLast(torch.nn.Module):
    """A network that takes and gives NHWC."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = Bordered(net)

    def forward(self, windows: Tensor, inside: Tensor | None = None) -> Tensor:
        outputs: Tensor = self.net(
            windows.permute(0, 3, 1, 2), None if inside is None else inside.permute(0, 3, 1, 2)
        )
        return outputs.permute(0, 2, 3, 1)


def _export(net: SubnetRung, shapes: Shapes, path: Path) -> None:
    import openvino

    openvino.save_model(_convert(net, shapes), path, compress_to_fp16=False)


def _convert(net: SubnetRung, shapes: Shapes) -> openvino.Model:
    """By the frontend itself: the converter of the package around it asks whether it may report its use."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        # Deprecated, but the frontend takes nothing else without torch's compiler, which takes seconds to load.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Traced here, as the decoder's own tracing prints the graph where it meets what it does not expect.
        channels_last = _ChannelsLast(net.module()).eval()
        inputs = tuple(torch.zeros(shape) for shape in shapes)
        traced = torch.jit.trace(channels_last, inputs)  # type: ignore[no-untyped-call]
    frontend = FrontEndManager().load_by_framework("pytorch")
    # It is called while the frontend works, which does not hold it.
    decoder = TorchScriptPythonDecoder(traced)
    model: openvino.Model = frontend.convert(frontend.load(decoder))
    model.reshape(dict(zip(model.inputs, map(list, shapes), strict=True)))
    return model
