"""Weights in and out of files; a file is data, never code."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from arm_batch.errors import LadderError
from arm_batch.models.backbones.registry import BACKBONES, get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import (
    load_body,
    load_checkpoint,
    load_supernet,
    save_checkpoint,
    save_weights,
    sha256_of,
)

FSRCNN = get_backbone("fsrcnn")


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(FSRCNN, 4)


class Malicious:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch.save"])
def test_code_in_a_checkpoint_is_refused_and_not_run(
    tmp_path: Path, write: Callable[[object, IO[bytes]], None]
) -> None:
    trace, path = tmp_path / "was-run", tmp_path / "evil.pth"
    with path.open("wb") as file:
        write({"head_conv.0.weight": Malicious(trace)}, file)
    with pytest.raises(LadderError, match="not a readable checkpoint"):
        load_supernet(path, FSRCNN, 4)
    assert not trace.exists()


def test_half_precision_round_trip(tmp_path: Path, supernet: Supernet) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, supernet)
    loaded = load_supernet(path, FSRCNN, 4)
    assert not loaded.training
    for name, tensor in supernet.net.state_dict().items():
        back = loaded.net.state_dict()[name]
        assert back.dtype == torch.float32
        assert torch.equal(back, tensor.half().float())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    parameters = sum(t.numel() for t in supernet.net.state_dict().values())
    assert path.stat().st_size < 2 * parameters + 4096
    content = path.read_bytes()
    save_weights(path, supernet)
    assert path.read_bytes() == content


def test_state_dicts_of_torch_load_exactly(tmp_path: Path, supernet: Supernet) -> None:
    torch.save(supernet.net.state_dict(), tmp_path / "weights.pth")
    loaded = load_supernet(tmp_path / "weights.pth", FSRCNN, 4)
    assert all(torch.equal(a, b) for a, b in zip(loaded.net.parameters(), supernet.net.parameters(), strict=True))


@pytest.mark.parametrize("backbone", ["carn", "srresnet"])
def test_weights_of_another_backbone_are_refused(tmp_path: Path, supernet: Supernet, backbone: str) -> None:
    save_weights(tmp_path / "w.safetensors", supernet)
    with pytest.raises(LadderError, match=f"weights of a fsrcnn x4 supernet, not of a {backbone} x4 supernet"):
        load_supernet(tmp_path / "w.safetensors", get_backbone(backbone), 4)
    torch.save(supernet.net.state_dict(), tmp_path / "nameless.pth")
    with pytest.raises(LadderError, match=f"not the weights of a {backbone} supernet"):
        load_supernet(tmp_path / "nameless.pth", get_backbone(backbone), 4)


def test_weights_of_another_scale_are_refused(tmp_path: Path, supernet: Supernet) -> None:
    # The same shapes at every scale: only the file itself can tell.
    save_weights(tmp_path / "w.safetensors", supernet)
    with pytest.raises(LadderError, match="weights of a fsrcnn x4 supernet, not of a fsrcnn x2 supernet"):
        load_supernet(tmp_path / "w.safetensors", FSRCNN, 2)
    carn = get_backbone("carn")
    torch.save(Supernet(carn, 3).net.state_dict(), tmp_path / "nameless.pth")
    with pytest.raises(LadderError, match="a carn x2 supernet has"):
        load_supernet(tmp_path / "nameless.pth", carn, 2)


def test_of_a_training_the_averaged_weights_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    nets = {name: Supernet(FSRCNN, 4).net.state_dict() for name in ("net", "averaged")}
    save_checkpoint(path, {"backbone": "fsrcnn", "scale": 4, "config": {}, "step": 1, **nets})
    loaded = load_supernet(path, FSRCNN, 4).net.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in nets["averaged"].items())
    with pytest.raises(LadderError, match="weights of a fsrcnn x4 supernet, not of a fsrcnn x2 supernet"):
        load_supernet(path, FSRCNN, 2)


@pytest.mark.parametrize("name", list(BACKBONES))
@pytest.mark.parametrize(("scale", "other"), [(2, 4), (3, 2)])
def test_the_body_comes_from_weights_of_any_scale(tmp_path: Path, name: str, scale: int, other: int) -> None:
    backbone = get_backbone(name)
    given_weights, supernet = Supernet(backbone, other), Supernet(backbone, scale)
    before = {key: value.clone() for key, value in supernet.net.state_dict().items()}
    torch.save(given_weights.net.state_dict(), tmp_path / "w.pth")
    load_body(tmp_path / "w.pth", supernet)
    source = given_weights.net.state_dict()
    taken = [key for key in before if key.startswith(backbone.body)]
    for key, value in supernet.net.state_dict().items():
        assert torch.equal(value, source[key] if key in taken else before[key])
    # The upsampler is left, and little else.
    assert 0 < len(before) - len(taken) <= 8


@pytest.mark.parametrize("name", ["carn", "plain"])
def test_the_body_of_another_backbone_is_refused(tmp_path: Path, supernet: Supernet, name: str) -> None:
    save_weights(tmp_path / "w.safetensors", supernet)
    with pytest.raises(LadderError, match=f"not the weights of a {name} supernet"):
        load_body(tmp_path / "w.safetensors", Supernet(get_backbone(name), 2))


@pytest.mark.parametrize("content", [["a"], torch.zeros(3), {"step": 3}, 7, {"a": [torch.zeros(1)]}])
def test_files_of_plain_values_are_not_weights(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(LadderError, match="not a state dict of tensors"):
        load_supernet(tmp_path / "x.pth", FSRCNN, 4)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_missing_files_and_folders_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LadderError, match="not a readable"):
        load_supernet(tmp_path / name, FSRCNN, 4)
    (tmp_path / name).mkdir()
    with pytest.raises(LadderError, match="not a readable"):
        load_supernet(tmp_path / name, FSRCNN, 4)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@given(damage=st.binary(max_size=40), prefix=st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_garbage_is_refused(tmp_path: Path, suffix: str, damage: bytes, prefix: bytes) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(prefix + damage)
    with pytest.raises(LadderError):
        load_supernet(path, FSRCNN, 4)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, supernet: Supernet, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    tensors = supernet.net.state_dict()
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LadderError, match="not a readable"):
        load_supernet(path, FSRCNN, 4)


def test_checkpoints_hold_tensors_and_plain_values(tmp_path: Path) -> None:
    state = {"step": 3, "config": {"widths": (16, 36)}, "net": {"w": torch.arange(3.0)}}
    save_checkpoint(tmp_path / "c.pt", state)
    save_checkpoint(tmp_path / "c.pt", state)
    back = load_checkpoint(tmp_path / "c.pt")
    assert back["step"] == 3
    assert back["config"] == {"widths": (16, 36)}
    assert torch.equal(back["net"]["w"], torch.arange(3.0))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea")
