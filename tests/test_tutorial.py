"""Every command of the tutorial, one after the other, as a reader types them; and the site it is the front of."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.archives import LR_SIZES, make_archive
from tests.test_cli import run

ROOT = Path(__file__).parents[1]


def test_its_commands_do_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As on a machine without a cluster.
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    make_archive(tmp_path / "photos")
    lines = (ROOT / "docs" / "index.md").read_text().splitlines()
    commands = [line.strip() for line in lines if line.startswith("    arm-batch ")]
    assert len(commands) == 7
    for command in commands:
        code, out, err = run(capsys, *shlex.split(command)[1:])
        assert (command, code, err) == (command, 0, "")
        assert out
    images = {path.relative_to("upscaled/images").as_posix() for path in Path("upscaled/images").rglob("*.png")}
    assert images == set(LR_SIZES)
    assert Path("large.png").is_file()
    assert "slider" in Path("upscaled/report.html").read_text()


def test_the_site_builds_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("mkdocs-material is not here: pip install '.[docs]'")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert [page for page in sorted(pages) if not (tmp_path / page / "index.html").is_file()] == []
