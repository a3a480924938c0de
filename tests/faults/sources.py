"""Sources whose images do harm: workers load this module to read them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from arm_batch.inputs.sources import Entry, Source


@dataclass(frozen=True)
class HarmfulSource(Source):
    """Reads like any other, but for images that are called after what they do.

    ``kill*`` ends the process that reads it, ``memory*`` runs out of memory, ``bug*`` raises what nobody expects.
    Each time is noted in the folder that ``ARM_BATCH_TEST_HARM`` names, and none does harm while that holds a
    file ``asleep``.
    """

    def read(self, entry: Entry) -> bytes:
        notes = Path(os.environ["ARM_BATCH_TEST_HARM"])
        name = entry.path.rpartition("/")[2]
        if not (notes / "asleep").exists() and name.startswith(("kill", "memory", "bug")):
            with (notes / name).open("a") as file:
                file.write("x")
            if name.startswith("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            if name.startswith("memory"):
                raise MemoryError
            raise KeyError(name)
        return super().read(entry)
