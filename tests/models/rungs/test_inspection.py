"""What is told of a model, and which are refused: each in one line that names the file."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from arm_batch.cli import main
from arm_batch.core.tiling.grid import TileGrid, Windows
from arm_batch.errors import LadderError, UsageError
from arm_batch.models.inference import Upscaler
from arm_batch.models.rungs import memory
from arm_batch.models.rungs.extras import load_extra
from arm_batch.models.rungs.files import read_model
from arm_batch.models.rungs.inspection import inspect_model
from arm_batch.models.rungs.model_rung import ModelRung
from arm_batch.models.rungs.onnx_model import OnnxModel
from tests.foreign_models import NEEDS_MODELS, compact, plain, save_compact, save_plain_as_onnx
from tests.image_files import smooth

pytestmark = NEEDS_MODELS


def by_hand(*layers: tuple[int, int]) -> int:
    """FLOPs of one pixel: of 3x3 convolutions from and to so many channels."""
    return sum(2 * 9 * source * target for source, target in layers)


def test_a_compact_net_is_told_of(tmp_path: Path) -> None:
    path = save_compact(tmp_path / "my net.safetensors", metadata={"license": "CC0-1.0"})
    facts = inspect_model(read_model(path))
    assert (facts.source.name, facts.architecture, facts.licence) == (
        "my-net",
        "RealESRGAN Compact 16nf 3nc",
        "CC0-1.0",
    )
    assert (facts.scale, facts.channels, facts.source.model.peak, facts.half) == (4, 3, 1, True)
    # Five convolutions of 3x3 see five px far, and no farther.
    assert facts.reach <= 5
    assert facts.flops == by_hand((3, 16), (16, 16), (16, 16), (16, 16), (16, 48)) * facts.window**2
    assert facts.window == facts.tile + 2 * facts.halo


@pytest.mark.parametrize(("side", "peak"), [(None, 1), (64, 1), (None, 255)])
def test_an_onnx_net_is_told_of(tmp_path: Path, side: int | None, peak: int) -> None:
    facts = inspect_model(read_model(save_plain_as_onnx(tmp_path / "net.onnx", plain(), side, peak)))
    assert (facts.scale, facts.channels, facts.source.model.peak, facts.fixed) == (4, 3, peak, side)
    assert facts.licence == "Apache-2.0"
    # Of eight convolutions the last ones see a pixel that is eight away, but not at half a level.
    assert 1 < facts.reach < 8
    assert facts.flops == by_hand((3, 8), *[(8, 8)] * 6, (8, 48)) * facts.window**2
    assert side is None or facts.window == side


def test_flops_of_transposed_and_grouped_convolutions_and_products() -> None:
    onnx: Any = load_extra("onnx")
    helper, arrays = onnx.helper, onnx.numpy_helper

    def weight(name: str, *shape: int) -> Any:
        return arrays.from_array(np.zeros(shape, np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "a"], ["y"], pads=[1, 1, 1, 1], group=3, kernel_shape=[3, 3]),
        helper.make_node("ConvTranspose", ["y", "b"], ["z"], strides=[4, 4], kernel_shape=[4, 4]),
        helper.make_node("MatMul", ["z", "c"], ["o"]),
    ]
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 16, 16])
    made = helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, None)
    weights = [weight("a", 6, 1, 3, 3), weight("b", 6, 3, 4, 4), weight("c", 64, 64)]
    graph = helper.make_graph(nodes, "g", [given], [made], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    expected = 2 * (6 * 16 * 16 * 9 + 6 * 16 * 16 * 3 * 16 + 3 * 64 * 64 * 64)
    assert OnnxModel(model.SerializeToString(), "g").flops(16) == expected


def test_both_kinds_give_what_the_network_gives(tmp_path: Path) -> None:
    grid = TileGrid(16, 6)
    windows = Windows.within(smooth(1, 3 * grid.window, grid.window).reshape(3, grid.window, grid.window, 3))
    nets = {
        save_compact(tmp_path / "a.safetensors"): compact(),
        save_plain_as_onnx(tmp_path / "b.onnx", plain()): plain(),
        save_plain_as_onnx(tmp_path / "c.onnx", plain(), peak=255): plain(),
    }
    for path, net in nets.items():
        model = inspect_model(read_model(path), tile=16).source.model
        # A halo of its own, less than the ladder's.
        upscaler = Upscaler((None, ModelRung(model, 4)), grid, 4, "cpu")
        (found,) = upscaler.run(1, [windows])
        with torch.inference_mode():
            cropped = torch.from_numpy(windows.pixels[:, 2:-2, 2:-2]).permute(0, 3, 1, 2) / 255
            outputs = (net(cropped).clamp(0, 1) * 255).round().permute(0, 2, 3, 1).numpy()
        apart = np.abs(found.pixels.astype(int) - outputs[:, 16:-16, 16:-16].astype(int))
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.01


def test_a_tile_does_not_depend_on_what_runs_beside_it(tmp_path: Path) -> None:
    model = read_model(save_compact(tmp_path / "a.safetensors")).model
    upscaler = Upscaler((None, ModelRung(model, 4)), TileGrid(16, 4), 4, "cpu")
    pixels = smooth(2, 5 * 24, 24).reshape(5, 24, 24, 3)
    (together,) = upscaler.run(1, [Windows.within(pixels)])
    alone = [upscaler.run(1, [Windows.within(pixels[i : i + 1])])[0].pixels for i in range(5)]
    np.testing.assert_array_equal(together.pixels, np.concatenate(alone))


class Unpickler(pickle.Unpickler):
    """Takes nothing but this package's classes: none of torch's, whose unpickling could be asked for more."""

    def find_class(self, module: str, name: str) -> Any:
        assert module.startswith("arm_batch.models.rungs."), f"{module}.{name}"
        return super().find_class(module, name)


def test_models_are_sent_as_bytes_without_code(tmp_path: Path) -> None:
    for path in (save_compact(tmp_path / "a.safetensors"), save_plain_as_onnx(tmp_path / "b.onnx", plain())):
        rung = ModelRung(read_model(path).model, 4)
        assert Unpickler(io.BytesIO(pickle.dumps(rung))).load() == rung


def refused(path: Path, allow_pickle: bool = False) -> str:
    with pytest.raises(LadderError) as caught:
        inspect_model(read_model(path, allow_pickle))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    assert str(path) in message
    return message


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self._path),)


def test_a_pickle_never_runs_code(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pth", tmp_path / "mark"
    torch.save({"weight": Evil(mark)}, path)
    assert "--allow-pickle-weights" in refused(path)
    assert "is forbidden" in refused(path, allow_pickle=True)
    path.write_bytes(pickle.dumps(Evil(mark)))
    refused(path, allow_pickle=True)
    assert not mark.exists()


def test_a_pickle_of_tensors_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params_ema": compact().state_dict()}, path)
    facts = inspect_model(read_model(path, allow_pickle=True))
    assert facts.architecture.startswith("RealESRGAN Compact")
    # What goes on from here is no pickle.
    assert safetensors.torch.load(facts.source.model.data).keys() == compact().state_dict().keys()


@pytest.mark.parametrize("name", ["x.safetensors", "x.onnx", "x.pth"])
def test_random_bytes_are_no_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "not readable" in refused(path, allow_pickle=True)


@pytest.mark.parametrize("kept", [4, 100, 5000])
def test_truncated_safetensors_are_refused(tmp_path: Path, kept: int) -> None:
    path = save_compact(tmp_path / "x.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    assert "not readable as weights" in refused(path)


def test_weights_of_no_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3, 3)}, path)
    assert "no architecture that spandrel knows" in refused(path)


def test_other_files_and_none_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.onnx")
    (tmp_path / "x.pt").write_bytes(b"x")
    assert "models are .safetensors, .onnx or .pth, not .pt" in refused(tmp_path / "x.pt", allow_pickle=True)


def an_onnx(path: Path, kind: str, **options: Any) -> Path:
    """A net that repeats pixels four times, with one more operator at the end."""
    onnx: Any = load_extra("onnx")
    helper, arrays = onnx.helper, onnx.numpy_helper
    scale = options.pop("scale", 4)
    scales = arrays.from_array(np.array([1, 1, scale, scale], np.float32), "scales")
    weights = [scales, *options.pop("weights", [])]
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest")]
    nodes += [helper.make_node(kind, [*options.pop("inputs", ["y"])], ["z"], **options)]
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
    made = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [given], [made], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_what_is_not_finite_or_random_or_something_else_is_refused(tmp_path: Path) -> None:
    onnx: Any = load_extra("onnx")
    zero = onnx.numpy_helper.from_array(np.float32(0), "zero")
    nan = an_onnx(tmp_path / "nan.onnx", "Div", inputs=["y", "zero"], weights=[zero])
    assert "not finite" in refused(nan)
    assert "random" in refused(an_onnx(tmp_path / "random.onnx", "RandomUniformLike", dtype=1))
    inverted = an_onnx(tmp_path / "negative.onnx", "Neg")
    assert "does not resemble what it was shown" in refused(inverted)
    assert "it has to enlarge 2 to 8 times" in refused(an_onnx(tmp_path / "same.onnx", "Identity", scale=1))
    assert "makes 120x120 px of 48x48" in refused(an_onnx(tmp_path / "half.onnx", "Identity", scale=2.5))


def test_external_data_outside_the_folder_is_refused_and_inside_is_taken_in(tmp_path: Path) -> None:
    onnx: Any = load_extra("onnx")
    inside, path = tmp_path / "models", tmp_path / "models" / "x.onnx"
    inside.mkdir()
    whole = onnx.load(save_plain_as_onnx(tmp_path / "whole.onnx", plain()))
    onnx.save(whole, path, save_as_external_data=True, location="x.data", size_threshold=0)
    assert inspect_model(read_model(path)).scale == 4
    for location in ("../x.data", str(tmp_path / "x.data"), "missing.data"):
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        (tmp_path / "x.data").write_bytes((inside / "x.data").read_bytes())
        (inside / "y.onnx").write_bytes(model.SerializeToString())
        assert "no file in the folder of the model" in refused(inside / "y.onnx")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        # Its header says 100 GB, and so does its length; on the disk it is a few bytes.
        header = b'{"w":{"dtype":"F32","shape":[25000000000],"data_offsets":[0,100000000000]}}'
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 10**11)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 64 * 10**9)
    assert "takes 100 GB, and this machine has 64 GB of memory" in refused(path)
    repeats = load_extra("onnx").numpy_helper.from_array(np.array([1, 4000, 400, 400], np.int64), "n")
    # Of what it makes on a window, not of the file.
    wide = an_onnx(tmp_path / "wide.onnx", "Tile", inputs=["y", "n"], weights=[repeats])
    with pytest.raises(LadderError, match="one tensor on a window takes"):
        OnnxModel(wide.read_bytes(), "wide").flops(48)


def test_a_missing_library_is_asked_for_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_plain_as_onnx(tmp_path / "x.onnx", plain())

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("arm_batch.models.rungs.extras.importlib.import_module", missing)
    with pytest.raises(UsageError, match=r"is not installed: `pip install 'arm-batch\[models\]'`"):
        read_model(path)


def test_the_command_tells_it_all_and_ends_with_2_on_what_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_plain_as_onnx(tmp_path / "x.onnx", plain())
    with pytest.raises(SystemExit) as done:
        main(["ladder", "inspect", str(path)])
    assert not done.value.code
    told = capsys.readouterr().out
    for line in ("scale         x4", "values        0 to 1", "licence       Apache-2.0", "half          no"):
        assert line in told
    (tmp_path / "y.onnx").write_bytes(b"x")
    with pytest.raises(SystemExit) as done:
        main(["ladder", "inspect", str(tmp_path / "y.onnx")])
    assert done.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_grey_models_run_on_each_channel(tmp_path: Path) -> None:
    onnx: Any = load_extra("onnx")
    helper = onnx.helper
    kernel = onnx.numpy_helper.from_array(np.zeros((16, 1, 3, 3), np.float32), "k")
    bias = onnx.numpy_helper.from_array(np.zeros(16, np.float32), "b")
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "s")
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=4),
        helper.make_node("Resize", ["x", "", "s"], ["r"], mode="nearest"),
        helper.make_node("Add", ["d", "r"], ["z"]),
    ]
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 1, "h", "w"])
    made = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "grey", [given], [made], [kernel, bias, scales])
    path = tmp_path / "grey.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    facts = inspect_model(read_model(path), tile=16)
    assert (facts.channels, facts.flops) == (1, 3 * by_hand((1, 16)) * facts.window**2)
    grid = TileGrid(16, 2)
    windows = Windows.within(smooth(1, 20, 20)[None])
    (found,) = Upscaler((None, ModelRung(facts.source.model, 0)), grid, 4, "cpu").run(1, [windows])
    np.testing.assert_array_equal(found.pixels, windows.pixels[:, 2:-2, 2:-2].repeat(4, 1).repeat(4, 2))


def test_half_a_file_of_onnx_is_refused(tmp_path: Path) -> None:
    path = save_plain_as_onnx(tmp_path / "x.onnx", plain())
    path.write_bytes(path.read_bytes()[:3000])
    refused(path)
