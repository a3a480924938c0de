"""``arm-batch train`` for ``ray job submit``: the same options, on one node of the cluster.

    ray job submit --working-dir . --entrypoint-num-gpus 1 -- \
        python jobs/train_supernet.py --data DIR --out DIR --backbone fsrcnn --device cuda

Submitted again with the same options, it continues from its checkpoint. Both folders must be ones that every node
sees. One process trains: these networks are too small for several workers to be worth their talk.
"""

from __future__ import annotations

import sys

from arm_batch.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
