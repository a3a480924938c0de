"""The budget actor's brain: what of a budget is reserved, spent and free."""

from __future__ import annotations

from arm_batch.errors import BudgetError


class Ledger:
    """Reservations against a total, in FLOPs, each under a key of its caller's.

    Every call may be repeated with the same arguments and changes nothing the second time, because a remote
    caller cannot know whether its first call arrived. After each call ``spent + reserved <= total``.
    """

    def __init__(self, total: int) -> None:
        if total < 0:
            raise BudgetError(f"a budget of {total} FLOPs is negative")
        self.total = total
        self._reserved: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        self._reserved_sum = 0
        self._spent_sum = 0

    @property
    def spent(self) -> int:
        """FLOPs settled."""
        return self._spent_sum

    @property
    def reserved(self) -> int:
        """FLOPs reserved and neither settled nor released."""
        return self._reserved_sum

    @property
    def free(self) -> int:
        """FLOPs that can still be reserved."""
        return self.total - self._spent_sum - self._reserved_sum

    def is_reserved(self, key: str) -> bool:
        """Whether `key` has a reservation that is neither settled nor released."""
        return key in self._reserved

    def reserve(self, key: str, flops: int) -> None:
        """Set `flops` aside for `key`; `BudgetError` when they are not there or the key has others."""
        if flops < 0:
            raise BudgetError(f"{key}: cannot reserve {flops} FLOPs")
        if key in self._spent:
            return
        if key in self._reserved:
            if self._reserved[key] != flops:
                raise BudgetError(f"{key} has reserved {self._reserved[key]} FLOPs, not {flops}")
            return
        if flops > self.free:
            raise BudgetError(f"{key} asks for {flops:,} FLOPs, {self.free:,} are free")
        self._reserved[key] = flops
        self._reserved_sum += flops

    def settle(self, key: str, flops: int) -> None:
        """Turn `key`'s reservation into `flops` spent, giving back the rest.

        Raises:
            BudgetError: more than was reserved, nothing was reserved, or settled before at another amount.
        """
        if key in self._spent:
            if self._spent[key] != flops:
                raise BudgetError(f"{key} was settled at {self._spent[key]} FLOPs, not {flops}")
            return
        reserved = self._reserved.get(key)
        if reserved is None or not 0 <= flops <= reserved:
            raise BudgetError(f"{key} cannot spend {flops} of {reserved or 0} reserved FLOPs")
        self.release(key)
        self._spent[key] = flops
        self._spent_sum += flops

    def release(self, key: str) -> None:
        """Give `key`'s reservation back, if it has one."""
        self._reserved_sum -= self._reserved.pop(key, 0)
