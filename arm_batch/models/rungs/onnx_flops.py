"""FLOPs of an ONNX model, from the shapes of its graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arm_batch.errors import LadderError
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.memory import check_fits

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of the tensors whose shape is known, by name."""

_NOT_COUNTED = frozenset({"If", "Loop", "Scan", "LSTM", "GRU", "RNN", "Einsum", "MatMulInteger", "ConvInteger"})
"""Operators that multiply and that this does not count; a model with one is refused rather than undercharged."""

_BYTES = 4


def count_onnx_flops(data: bytes, shape: Sequence[int], name: str) -> int:
    """Two FLOPs for each multiply-add of convolutions and matrix products on one input.

    Args:
        data: the model.
        shape: of the input, one picture.
        name: for messages.

    Raises:
        LadderError: it has parts that cannot be counted, or would not fit into memory.
        UsageError: the library is missing.
    """
    onnx = load_extra("onnx")
    model = onnx.load_from_string(data)
    (given,) = [value for value in model.graph.input if value.name not in _weights(model)]
    for dimension, size in zip(given.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    # What was inferred for another size would stand in the way.
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        raise LadderError(
            f"{name}: its shapes do not fit together ({str(error).splitlines()[0][:200]})"
        ) from error
    shapes = _shapes(model)
    check_fits(max(map(math.prod, shapes.values()), default=0) * _BYTES, f"{name}: one tensor on a window")
    return sum(_node_flops(node, shapes, name) for node in model.graph.node)


def _weights(model: Any) -> set[str]:
    return {tensor.name for tensor in model.graph.initializer}


def _shapes(model: Any) -> dict[str, Shape]:
    graph = model.graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            shapes.update((node.output[0], tuple(a.t.dims)) for a in node.attribute if a.name == "value")
    for value in [*graph.input, *graph.value_info, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _node_flops(node: Any, shapes: Shapes, name: str) -> int:
    if node.op_type in _NOT_COUNTED or node.domain not in ("", "ai.onnx"):
        raise LadderError(
            f"{name}: the FLOPs of its operator {node.domain or 'ai.onnx'}.{node.op_type} are not known"
        )
    counter = _COUNTERS.get(node.op_type)
    if counter is None:
        return 0
    missing = [tensor for tensor in [*node.input[:2], node.output[0]] if tensor not in shapes]
    if missing:
        raise LadderError(
            f"{name}: the shape of {missing[0]} does not follow from the graph, so that its FLOPs cannot be "
            "counted; export it with fixed shapes"
        )
    first, second = (shapes[tensor] for tensor in node.input[:2])
    return 2 * counter(node, first, second, shapes[node.output[0]])


def _conv(node: Any, given: Shape, kernel: Shape, result: Shape) -> int:
    """Kernels are ``(out, in / groups, h, w)``."""
    del node, given
    return math.prod(result) * math.prod(kernel[1:])


def _conv_transpose(node: Any, given: Shape, kernel: Shape, result: Shape) -> int:
    """Kernels are ``(in, out / groups, h, w)``; every input position meets all of its kernel."""
    del node, result
    return math.prod(given) * math.prod(kernel[1:])


def _matmul(node: Any, left: Shape, right: Shape, result: Shape) -> int:
    del node, right
    return math.prod(result) * left[-1]


def _gemm(node: Any, left: Shape, right: Shape, result: Shape) -> int:
    del right
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(result) * left[0 if transposed else 1]


_COUNTERS: Mapping[str, Callable[[Any, Shape, Shape, Shape], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "Gemm": _gemm,
}
"""Multiply-adds of each operator, of its first two inputs and its output."""
