"""Where the reference data lies, when there is any."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def present(folder: Path) -> Path:
    """`folder`, or a visible skip of the test that asked for it."""
    if not folder.is_dir():
        pytest.skip(f"{folder.relative_to(SHARED)} is not beside the repository, under ../shared")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """What the published code gives: weights, LUTs, figures and outputs."""
    return present(SHARED / "reference" / "arm_official")


@pytest.fixture(scope="session")
def validation_data() -> Path:
    """Set5, Set14 and BSD100, each with HR and LRx4."""
    return present(SHARED / "data" / "val")
