"""Which machines multiply bfloat16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from arm_batch.models.runtimes.native import multiplies_bf16


@pytest.mark.parametrize(
    ("text", "gpus", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 amx_tile\n", [], True),
        ("model name\t: x\nFeatures\t: fp asimd bf16\n", [], True),
        ("flags\t\t: fpu avx2 avx512f\n", [], False),
        ("", [], False),
        (None, [], False),
        ("flags\t\t: avx512_bf16\n", [(8, 0), (9, 0)], True),
        ("flags\t\t: avx512_bf16\n", [(9, 0), (7, 5)], False),
    ],
)
def test_by_flags_of_the_cpu_and_generations_of_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, gpus: list[tuple[int, int]], expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: gpus[number])
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert multiplies_bf16(path) == expected
