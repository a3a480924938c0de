"""Models in PyTorch, of an architecture that spandrel recognises by their weights.

The package `spandrel` itself has only architectures under permissive licences; `spandrel_extra_arches` is never
asked for. What is kept and sent to other processes is safetensors, which hold numbers and nothing that runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from arm_batch.errors import LadderError
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.planar import planar_forward
from arm_batch.models.rungs.protocol import Declared, ModelKind
from arm_batch.models.runtimes.protocol import Forward

LICENCES = ("license", "licence", "modelspec.license")
"""Keys of a file's metadata that may state it."""


@dataclass(frozen=True)
class SpandrelModel:
    """See `Model`.

    Attributes:
        data: safetensors.
        name: for messages.
        peak: always 1: so spandrel has it.
    """

    data: bytes = field(repr=False)
    name: str
    peak: ClassVar[int] = 1
    kind: ClassVar[ModelKind] = "spandrel"

    def declared(self) -> Declared:
        """See `Model`."""
        descriptor = self._descriptor()
        if type(descriptor).__name__ != "ImageModelDescriptor" or descriptor.purpose != "SR":
            raise LadderError(f"{self.name}: a model of the kind {descriptor.purpose}, which upscales no pictures")
        channels = descriptor.input_channels
        if channels not in (1, 3) or channels != descriptor.output_channels:
            raise LadderError(
                f"{self.name}: takes {channels} channels and gives {descriptor.output_channels}; 3 of each are "
                "wanted, or 1"
            )
        needs = descriptor.size_requirements
        return Declared(
            architecture=" ".join([descriptor.architecture.name, *descriptor.tags]),
            licence=_licence(self.data),
            scale=descriptor.scale,
            channels=channels,
            multiple=needs.multiple_of,
            minimum=needs.minimum,
            fixed=None,
            half=descriptor.supports_half,
        )

    def flops(self, window: int) -> int:
        """Counted while the network runs on shapes alone: convolutions, matrix products and attention."""
        try:
            return _counted(self._descriptor(), window, "meta")
        except (NotImplementedError, RuntimeError):
            # Some look at the numbers themselves.
            return _counted(self._descriptor(), window, "cpu")

    def open(self, device: str, threads: int) -> Forward:
        """See `Model`."""
        del threads  # The process's, as the runtime has set it.
        descriptor = self._descriptor().to(device).eval()

        def run(planes: Tensor) -> Tensor:
            outputs: Tensor = descriptor(planes)
            return outputs

        return planar_forward(run, descriptor.input_channels)

    def _descriptor(self) -> Any:
        spandrel = load_extra("spandrel")
        try:
            found = safetensors.torch.load(self.data)
            tensors = {name: t.float() if t.is_floating_point() else t for name, t in found.items()}
            return spandrel.ModelLoader("cpu").load_from_state_dict(spandrel.canonicalize_state_dict(tensors))
        except spandrel.UnsupportedModelError as error:
            raise LadderError(f"{self.name}: weights of no architecture that spandrel knows") from error
        except Exception as error:
            # What detects architectures trusts names and shapes, and raises whatever comes of wrong ones.
            raise LadderError(f"{self.name}: not readable as weights of a model ({_first_line(error)})") from error


def _counted(descriptor: Any, window: int, device: str) -> int:
    # It loads much of torch that running a model does without.
    from torch.utils.flop_counter import FlopCounterMode

    channels = descriptor.input_channels
    picture = torch.zeros(3 // channels, channels, window, window, device=device)
    descriptor.to(device)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        descriptor(picture)
    return int(counter.get_total_flops())


def safetensors_of(state: dict[str, Tensor]) -> bytes:
    """A state dict as safetensors; tensors that share memory are copied."""
    return safetensors.torch.save({name: tensor.detach().clone().contiguous() for name, tensor in state.items()})


def _licence(data: bytes) -> str:
    """What the header states; it is there and sound, since the tensors were read."""
    size = int.from_bytes(data[:8], "little")
    stated = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return next((str(stated[key]).strip()[:200] for key in LICENCES if stated.get(key)), "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
