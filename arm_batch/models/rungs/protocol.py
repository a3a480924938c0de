"""What a rung is that is a network, wherever it comes from; and what a model of the user's is.

What runs tiles knows `Rung` alone, and not whether a subnet or a file of the user's is behind it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from arm_batch.models.runtimes.protocol import Forward, Runtime

ModelKind = Literal["spandrel", "onnx"]
"""What runs a model: PyTorch, by an architecture that `spandrel` knows, or onnxruntime."""


class Ready(NamedTuple):
    """A rung that is ready to run.

    Attributes:
        forward: runs windows.
        batch: windows of one pass at most.
    """

    forward: Forward
    batch: int


class Rung(Protocol):
    """A network of a ladder. It can be pickled: that is how it reaches other processes."""

    @property
    def halo(self) -> int:
        """LR px of surroundings that it needs beside a tile; at most the ladder's."""

    def at_once(self, device: str, window: int) -> int | None:
        """Windows of one pass on a kind of device; None where the runtime says so."""

    def ready(self, runtime: Runtime, window: int) -> Ready:
        """The network, on the runtime's device.

        Args:
            runtime: that runs it, or whose device and threads it goes by.
            window: side of what it will see, LR px: a tile with its own halo.

        Raises:
            UsageError: what it needs is not installed.
        """


class Declared(NamedTuple):
    """What a model's file says of itself.

    Attributes:
        architecture: such as ``RRDBNet``, with what the file tells of its size.
        licence: as it states it; empty where it does not.
        scale: upscaling factor; None where only running it tells.
        channels: 1 or 3, in and out.
        multiple: what the sides of its input must be a multiple of, px.
        minimum: side of its input at least, px.
        fixed: the only side that it takes, px; None where it takes others.
        half: whether it may run in half precision.
    """

    architecture: str
    licence: str
    scale: int | None
    channels: int
    multiple: int
    minimum: int
    fixed: int | None
    half: bool


class Model(Protocol):
    """A model of the user's: bytes that hold tensors and a graph, and no code.

    It can be pickled: whoever runs it builds the network from the bytes.
    """

    @property
    def kind(self) -> ModelKind:
        """What runs it."""

    @property
    def data(self) -> bytes:
        """The file: safetensors or ONNX, complete in itself."""

    @property
    def name(self) -> str:
        """Of its file, for messages."""

    @property
    def peak(self) -> int:
        """What white is in its input and output: 1 or 255."""

    def declared(self) -> Declared:
        """What it says of itself.

        Raises:
            LadderError: it is not a model, or of no use here; one line.
            UsageError: the library is missing.
        """

    def flops(self, window: int) -> int:
        """Two for each multiply-add executed on one RGB window of this side."""

    def open(self, device: str, threads: int) -> Forward:
        """The network on a device; what it makes beyond the image's border is its own affair.

        Raises:
            UsageError: the library is missing.
        """
