"""`arm-batch report`: the page as a file, and as Chromium shows it."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from arm_batch import cli, pipeline
from arm_batch.cli import exit_codes
from arm_batch.report_page import page as page_module
from arm_batch.report_page.colours import RUNG_COLOURS
from tests.archives import draw, job, make_messy_archive, silent, write_png

SECTIONS = ["ran", "bought", "where", "scores", "failures"]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with failures and one larger image."""
    folder = tmp_path_factory.mktemp("report")
    write_png(make_messy_archive(folder / "in") / "large.png", draw(3, 200, 300))
    (folder / "in" / "<b>&.png").write_bytes(b"")
    pipeline.upscale(job(folder / "in", folder / "out", shard_images=2, sink="files"), silent)
    return folder / "out"


def report(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["report", *arguments])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def html(output: Path) -> Path:
    assert report(str(output)) == 0
    return output / "report.html"


def test_the_page_tells_of_the_run_and_needs_nothing_else(html: Path, output: Path) -> None:
    text = html.read_text()
    record = json.loads((output / "run.json").read_text())
    for name, tiles in record["subnet_tiles"].items():
        assert re.search(rf'<th scope="row">{name}</th><td class="number">{tiles:,}</td>', text)
    assert "empty file" in text
    assert "&lt;b&gt;&amp;.png" in text
    assert "<b>&" not in text
    assert 'id="slider"' in text
    assert [name for name in SECTIONS if f'id="{name}"' not in text] == []
    # Names of XML are no addresses that anything is fetched from.
    addresses = set(re.findall(r"https?://[\w./-]+", text))
    assert all(
        "w3.org" in address or "purl.org" in address or "creativecommons.org" in address for address in addresses
    )
    assert re.search(r'(src|href)="(?!data:|#)', text) is None


def test_the_map_shows_the_rungs_that_the_rows_count(html: Path) -> None:
    text = html.read_text()
    (uri,) = re.findall(r'<img src="data:image/webp;base64,([^"]+)" alt="[^"]+ with each tile', text)
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(uri), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    rgb = shown[..., ::-1].astype(int)
    counts = [int(number) for number in re.findall(r"</span>[\w-]+: ([\d,]+)</li>", text)]
    # Hues tell: half of each pixel is its rung's colour, the other half grey.
    hues = np.array(RUNG_COLOURS[: len(counts)]) - np.mean(RUNG_COLOURS[: len(counts)], axis=1, keepdims=True)
    nearest = np.abs((rgb - rgb.mean(axis=2, keepdims=True))[..., None, :] - hues / 2).sum(axis=3).argmin(axis=2)
    shares = np.bincount(nearest.ravel(), minlength=len(counts)) / nearest.size
    assert sum(counts) == 7 * 10
    assert np.abs(shares - np.array(counts) / sum(counts)).max() < 0.12


def test_an_image_is_chosen_and_a_file(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(str(output), "--image", "good.png", "--html", str(tmp_path / "r.html")) == 0
    assert "<h3>good.png</h3>" in (tmp_path / "r.html").read_text()
    capsys.readouterr()
    for arguments, told in (
        (["--image", "empty.png"], "no image of that path was upscaled"),
        (["--html", str(tmp_path / "no" / "r.html")], "there is no folder"),
        (["--ladder", "fsrcnn-x2"], "fsrcnn-x2 is not the one that this run had"),
    ):
        assert report(str(output), *arguments) == exit_codes.USAGE
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == 1


def test_what_holds_no_run_and_what_is_missing_is_told(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(str(tmp_path)) == exit_codes.USAGE
    assert "holds no output of arm-batch" in capsys.readouterr().err
    monkeypatch.setattr(page_module, "find_spec", lambda _: None)
    assert report(str(output)) == exit_codes.USAGE
    assert "pip install 'arm-batch[plot]'" in capsys.readouterr().err


def test_without_the_input_there_is_nothing_to_compare(output: Path, tmp_path: Path) -> None:
    shutil.copytree(output.parent, tmp_path / "moved")
    settings = json.loads((output / "plan/g0000/generation.json").read_text())["settings"]
    assert settings["input"] == str(output.parent / "in")
    hidden = output.parent / "hidden"
    (output.parent / "in").rename(hidden)
    try:
        assert report(str(tmp_path / "moved" / "out")) == 0
    finally:
        hidden.rename(output.parent / "in")
    text = (tmp_path / "moved" / "out" / "report.html").read_text()
    assert 'id="slider"' not in text
    assert "The input cannot be read from here" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium of the system."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: Debian's package is `chromium`")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(browser: Any, html: Path, width: int, scheme: str) -> None:
    told: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url) if request.url.startswith("http") else None)
    page.goto(html.as_uri())
    assert [page.locator(f"#{name}").is_visible() for name in SECTIONS] == [True] * len(SECTIONS)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    slider = page.locator("#slider")
    slider.focus()
    page.keyboard.press("Home")
    at = "getComputedStyle(document.getElementById('compare')).getPropertyValue('--at').trim()"
    assert page.evaluate(at) == "0%"
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(at) == "3%"
    page.locator("#compare").scroll_into_view_if_needed()
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 5)
    assert page.evaluate(at) in ("74%", "75%", "76%")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:90] for node in each["nodes"]]) for each in found] == []
    assert told == []
    page.close()
