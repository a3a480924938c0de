"""``python -m arm_batch``."""

from arm_batch.cli import main

main()
