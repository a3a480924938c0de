"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "arm_batch/ladders").glob("*/*.md")]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"`((?:arm_batch|tests|benchmarks|jobs|docs|cluster)/[\w./-]+\.(?:py|md|yaml))`", text))
    linked = {link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in link}
    missing = [name for name in named if "NAME" not in name and not (ROOT / name).exists()]
    missing += [link for link in linked if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_sections_that_a_document_links_to_are_there(document: Path) -> None:
    broken = []
    for link, section in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text()):
        if "://" in link:
            continue
        target = document.parent / link if link else document
        anchors = {_anchor(title) for title in re.findall(r"^#+ (.+)$", target.read_text(), re.M)}
        if section not in anchors:
            broken.append(f"{link}#{section}")
    assert broken == []


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
