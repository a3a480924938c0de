"""From a model's file to a `Model`: no code of the file's ever runs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm_batch.errors import LadderError
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.memory import check_fits
from arm_batch.models.rungs.onnx_model import OnnxModel
from arm_batch.models.rungs.protocol import Model, ModelKind
from arm_batch.models.rungs.spandrel_model import SpandrelModel, safetensors_of

SUFFIXES: dict[ModelKind, str] = {"spandrel": ".safetensors", "onnx": ".onnx"}
"""Of the files that ladders hold."""

PICKLES = (".pth",)


@dataclass(frozen=True)
class ModelSource:
    """A model as it was given.

    Attributes:
        name: of its file, as far as it may name a rung.
        model: what it holds.
        sha256: of the file that was given, whatever is kept of it.
    """

    name: str
    model: Model
    sha256: str


def model_of(kind: ModelKind, data: bytes, peak: int, name: str) -> Model:
    """The model in a file that a ladder holds."""
    return SpandrelModel(data, name) if kind == "spandrel" else OnnxModel(data, name, peak)


def read_model(path: Path, allow_pickle: bool = False) -> ModelSource:
    """Read a model's file.

    Args:
        path: ``.safetensors``, ``.onnx`` or, where that is allowed, ``.pth``.
        allow_pickle: whether a ``.pth`` is read, by a loader that takes tensors alone.

    Raises:
        LadderError: it is no model, damaged, too large, or asks for what is outside its folder; one line.
        UsageError: a library is missing.
    """
    if not path.is_file():
        raise LadderError(f"{path}: there is no such file")
    check_fits(path.stat().st_size, f"{path}")
    suffix = path.suffix.lower()
    if suffix in PICKLES and not allow_pickle:
        raise LadderError(
            f"{path}: a pickle, which can hold code; convert it to .safetensors, or read its tensors alone with "
            "--allow-pickle-weights"
        )
    if suffix not in (*PICKLES, *SUFFIXES.values()):
        raise LadderError(f"{path}: models are .safetensors, .onnx or .pth, not {suffix or 'without an ending'}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LadderError(f"{path}: cannot be read ({error.strerror})") from error
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.")[:80] or "model"
    model: Model
    if suffix == ".onnx":
        model = OnnxModel(_complete(path, data), str(path))
    else:
        model = SpandrelModel(_tensors_of_pickle(path) if suffix in PICKLES else data, str(path))
    return ModelSource(name, model, hashlib.sha256(data).hexdigest())


def _tensors_of_pickle(path: Path) -> bytes:
    spandrel = load_extra("spandrel")
    try:
        state = spandrel.ModelLoader("cpu").load_state_dict_from_file(path)
        return safetensors_of(state)
    except Exception as error:
        # A damaged pickle makes an unpickler raise almost anything.
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise LadderError(f"{path}: not readable as a pickle of tensors alone ({told})") from error


def _complete(path: Path, data: bytes) -> bytes:
    """An ONNX file with the tensors inside that lie beside it."""
    onnx = load_extra("onnx")
    try:
        model = onnx.load_from_string(data)
    except Exception as error:
        raise LadderError(f"{path}: not readable as ONNX") from error
    outside = [tensor for tensor in _tensors(model.graph) if tensor.data_location == tensor.EXTERNAL]
    if not outside:
        return data
    folder = path.parent.resolve()
    for tensor in outside:
        told = {entry.key: entry.value for entry in tensor.external_data}
        place = (folder / told.get("location", "")).resolve()
        if not place.is_relative_to(folder) or not place.is_file():
            raise LadderError(
                f"{path}: its tensor {tensor.name!r} lies in {told.get('location', '')!r}, which is no file in "
                "the folder of the model"
            )
        check_fits(place.stat().st_size, str(place))
    try:
        onnx.load_external_data_for_model(model, str(folder))
        return bytes(model.SerializeToString())
    except Exception as error:
        raise LadderError(f"{path}: the tensors beside it cannot be read ({type(error).__name__})") from error


def _tensors(graph: Any) -> list[Any]:
    """All tensors of a graph and of those inside it."""
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t, *attribute.tensors]
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    found += _tensors(inner)
    return found
