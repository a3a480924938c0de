"""``arm-batch train`` for ``ray job submit``: the same options.

In the process that is submitted, which asks for its own device, or on several workers of the cluster:

    ray job submit --working-dir . --entrypoint-num-gpus 1 -- \
        python jobs/train_supernet.py --data DIR --out DIR --backbone carn --device cuda
    ray job submit --working-dir . -- \
        python jobs/train_supernet.py --data DIR --out DIR --backbone carn --device cuda --workers 4

Submitted again with the same options, it continues from its checkpoint; the number of workers may change. Both
folders must be ones that every node sees.
"""

from __future__ import annotations

import sys

from arm_batch.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
