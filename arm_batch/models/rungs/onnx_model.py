"""Models as ONNX files, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arm_batch.errors import LadderError
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.onnx_flops import count_onnx_flops
from arm_batch.models.rungs.planar import planar_forward
from arm_batch.models.rungs.protocol import Declared, ModelKind
from arm_batch.models.runtimes.protocol import Forward

LICENCES = ("license", "licence")
"""Keys of a file's metadata that may state it."""

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(frozen=True)
class _Layout:
    """How a model takes pictures.

    Attributes:
        channels: 1 or 3.
        last: whether channels come last.
        fixed: the only side it takes; None for any.
        dtype: of its input.
        batch: that it takes at once; None for any.
    """

    channels: int
    last: bool
    fixed: int | None
    dtype: Any
    batch: int | None


@dataclass(frozen=True)
class OnnxModel:
    """See `Model`.

    Attributes:
        data: the file, with all its tensors inside.
        name: for messages.
        peak: what white is; the file does not tell.
    """

    data: bytes = field(repr=False)
    name: str
    peak: int = 1
    kind: ClassVar[ModelKind] = "onnx"

    def declared(self) -> Declared:
        """See `Model`."""
        session = self._session("cpu", 1)
        layout = self._layout(session)
        about = session.get_modelmeta()
        stated = {key.lower(): value for key, value in about.custom_metadata_map.items()}
        licence = next((stated[key].strip()[:200] for key in LICENCES if stated.get(key)), "")
        return Declared(
            architecture=about.graph_name.strip()[:200] or "ONNX",
            licence=licence,
            scale=None,
            channels=layout.channels,
            multiple=1,
            minimum=1,
            fixed=layout.fixed,
            half=layout.dtype is np.float16,
        )

    def with_peak(self, peak: int) -> OnnxModel:
        """The same, taken to have white at `peak`."""
        return replace(self, peak=peak)

    def flops(self, window: int) -> int:
        """Counted from the shapes of its graph, see `count_onnx_flops`."""
        layout = self._layout(self._session("cpu", 1))
        shape = [window, window]
        shape = [1, *shape, layout.channels] if layout.last else [1, layout.channels, *shape]
        return count_onnx_flops(self.data, shape, self.name) * (3 // layout.channels)

    def open(self, device: str, threads: int) -> Forward:
        """See `Model`. On a GPU where this machine's onnxruntime has one, else on the CPU beside it."""
        session = self._session(device, threads)
        layout = self._layout(session)
        return planar_forward(self._runner(session, layout), layout.channels)

    def _runner(self, session: Any, layout: _Layout) -> Callable[[Tensor], Tensor]:
        source, peak = session.get_inputs()[0].name, self.peak

        def run(planes: Tensor) -> Tensor:
            levels = planes.cpu() * peak if peak != 1 else planes.cpu()
            levels = levels.permute(0, 2, 3, 1) if layout.last else levels
            # Levels of whole numbers, where it takes those.
            given = levels.round() if layout.dtype is np.uint8 else levels
            array = np.ascontiguousarray(given.numpy().astype(layout.dtype))
            step = layout.batch or len(array)
            parts = [session.run(None, {source: array[i : i + step]})[0] for i in range(0, len(array), step)]
            outputs = torch.from_numpy(np.concatenate(parts).astype(np.float32))
            outputs = outputs.permute(0, 3, 1, 2) if layout.last else outputs
            return (outputs / peak if peak != 1 else outputs).to(planes.device)

        return run

    def _session(self, device: str, threads: int) -> Any:
        runtime = load_extra("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # What it would print, this says in one line.
        options.log_severity_level = 4
        wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
        there = [name for name in wanted if name in runtime.get_available_providers()]
        try:
            return runtime.InferenceSession(self.data, options, providers=[*there, "CPUExecutionProvider"])
        except Exception as error:
            # Its errors have no class in common.
            raise LadderError(f"{self.name}: onnxruntime does not take it ({_first_line(error)})") from error

    def _layout(self, session: Any) -> _Layout:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise LadderError(f"{self.name}: takes {len(inputs)} inputs and gives {len(outputs)}, not one picture")
        if inputs[0].type not in _TYPES or len(inputs[0].shape) != 4:
            raise LadderError(f"{self.name}: takes a {inputs[0].type} of {inputs[0].shape}, not pictures")
        return self._picture_layout(inputs[0])

    def _picture_layout(self, given: Any) -> _Layout:
        """Of an input with four dimensions."""
        batch, *sides = (size if isinstance(size, int) and size > 0 else None for size in given.shape)
        last = sides[2] in (1, 3) and sides[0] not in (1, 3)
        channels, height, width = (sides[2], sides[0], sides[1]) if last else sides
        if channels not in (1, 3):
            raise LadderError(f"{self.name}: takes {channels or 'any number of'} channels; 3 are wanted, or 1")
        if height != width:
            raise LadderError(f"{self.name}: takes pictures of {width or 'any'}x{height or 'any'} px, not squares")
        return _Layout(channels, last, height, _TYPES[given.type], batch)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
