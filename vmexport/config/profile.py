"""The batch sizes that an exported file or an engine serves."""

from __future__ import annotations

from dataclasses import dataclass

from vmexport.errors import UsageError

LARGEST_BATCH = 2**16
"""No machine serves more clips at once: a larger number is a slip of the finger."""


@dataclass(frozen=True)
class BatchProfile:
    """Smallest, preferred and largest batch.

    Raises:
        UsageError: the three are not 1 <= minimum <= optimum <= maximum, or the last is too large.
    """

    minimum: int = 1
    optimum: int = 1
    maximum: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.optimum <= self.maximum:
            raise UsageError(
                f"batch profile {self} is not ordered",
                "expected 1 <= min <= opt <= max",
                "for example --batch 1:4:8",
            )
        if self.maximum > LARGEST_BATCH:
            raise UsageError(
                f"batch profile {self} is too large",
                f"expected at most {LARGEST_BATCH} clips, got {self.maximum}",
                "for example --batch 1:4:8",
            )

    @classmethod
    def parse(cls, text: str | int | BatchProfile) -> BatchProfile:
        """Read `4` or `1:4:8`.

        Raises:
            UsageError: the text is neither.
        """
        if isinstance(text, BatchProfile):
            return text
        try:
            values = [int(part) for part in str(text).split(":")]
        except ValueError:
            values = []
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        if len(values) == 3:
            return cls(*values)
        raise UsageError(
            f"cannot read the batch {text!r}",
            "expected one number or min:opt:max",
            "for example --batch 1:4:8",
        )

    @property
    def dynamic(self) -> bool:
        """Whether more than one batch size is served."""
        return self.minimum != self.maximum

    def probes(self) -> tuple[int, ...]:
        """Batches at which parity is checked: minimum, optimum, maximum and one between."""
        between = [batch for batch in range(self.minimum + 1, self.maximum) if batch != self.optimum]
        middle = between[len(between) // 2 : len(between) // 2 + 1]
        return tuple(sorted({self.minimum, self.optimum, self.maximum, *middle}))

    def __contains__(self, batch: object) -> bool:
        return isinstance(batch, int) and self.minimum <= batch <= self.maximum

    def __str__(self) -> str:
        if not self.dynamic:
            return str(self.minimum)
        return f"{self.minimum}:{self.optimum}:{self.maximum}"
