"""``python -m arm_batch.cli``."""

from arm_batch.cli import main

main()
