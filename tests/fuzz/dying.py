"""A worker for the test of the watch: the first file kills it, the second makes it hang, the third is fine."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tests.fuzz.places import CURRENT, NUMBER, STATE


def main(folder: Path, start: int) -> None:
    """Do to `folder` what a worker does, and end as it may."""
    (folder / CURRENT).write_bytes(b"file %d" % start)
    (folder / NUMBER).write_text(str(start))
    if start == 0:
        os._exit(9)
    while start == 1:
        time.sleep(1)
    (folder / STATE).write_text(json.dumps({"done": start + 1, "ways": 1, "slowest_s": 0.0, "rss": 0}))
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
