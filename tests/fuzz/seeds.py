"""The files that fuzzing begins with: the sound ones of the corpus."""

from __future__ import annotations

from tests.corpus.files import SOUND

SEEDS = {name: case.data for name, case in SOUND.items()}
"""By name."""
