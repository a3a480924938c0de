"""The exceptions of arm_batch.

::

    ArmBatchError
    ├── UsageError          what the caller asked for makes no sense: exit code 2
    │   ├── BudgetError     a budget that cannot be read or that no plan meets
    │   ├── InputError      INPUT is missing, unreadable or empty
    │   ├── OutputError     OUTPUT belongs to another run or cannot be written
    │   └── LadderError     a ladder, checkpoint or LUT that is missing, damaged or of another kind
    ├── StoreError          a folder or bucket cannot be reached, read or written; a resume may go on
    │   ├── UnsupportedError it works, but cannot do what was asked of it
    │   └── ObjectError     one object cannot be read, though others can: an image becomes a `failed` row
    ├── NewerError          a document of a later version: nothing is damaged, and nothing may be done about it
    ├── ClusterError        the Ray cluster cannot be reached or started; a resume may go on
    ├── StoppedError        somebody asked the run to end before it was complete: exit code 4
    ├── ImageError          one image cannot be processed: becomes a `failed` row, the job goes on
    └── TrainingError       training cannot go on (loss not finite, no usable data)
"""

from __future__ import annotations


class ArmBatchError(Exception):
    """Base of everything this package raises on purpose; its text is one line for a person."""


class UsageError(ArmBatchError):
    """The request itself is wrong; nothing was written."""


class BudgetError(UsageError):
    """The budget cannot be read, or no plan meets it."""


class InputError(UsageError):
    """INPUT is missing, unreadable or holds no image."""


class OutputError(UsageError):
    """OUTPUT belongs to another run or cannot be written."""


class LadderError(UsageError):
    """A ladder, checkpoint or LUT is missing, damaged or of another kind."""


class StoreError(ArmBatchError):
    """A folder or bucket cannot be reached, read or written."""


class UnsupportedError(StoreError):
    """A folder or bucket works, but cannot do what was asked of it, such as refusing to overwrite."""


class ObjectError(StoreError):
    """One object is of no use, though its store works: archived, encrypted with a key out of reach, a device.

    Attributes:
        reason: the same without saying where, for a row that says so already.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.reason = reason

    def __str__(self) -> str:
        return ": ".join(self.args)


class NewerError(ArmBatchError):
    """A document was written by a later version of this package: neither damaged nor to be repaired."""


class ClusterError(ArmBatchError):
    """The Ray cluster cannot be reached or started."""


class StoppedError(ArmBatchError):
    """Somebody asked the run to end before it was complete; starting it again goes on."""


class ImageError(ArmBatchError):
    """One image cannot be processed."""


class TrainingError(ArmBatchError):
    """Training cannot go on."""
