"""What is wrong with some faces of a batch, so that it can be named and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Result = TypeVar("Result")

IF_MISSING = ("error", "pass through")
"""What to do about faces that cannot be used."""


class FaceError(ValueError):
    """Some faces cannot be used: which, and what is wrong with each.

    Who looks at pixels knows the rows of a batch alone; who knows what they show calls `named`.

    Args:
        faults: By row, as "shows no face, expected an aligned face crop: crop it".
        what: What a row is, where it has no name.
        names: What the rows are called.

    Examples:
        >>> error = FaceError({1: "shows no face: crop it"}, "target")
        >>> print(error)
        target 1 shows no face: crop it
        >>> print(error.named(["face 0 of a.png", "face 1 of a.png"]))
        face 1 of a.png shows no face: crop it
    """

    def __init__(
        self, faults: Mapping[int, str], what: str = "picture", names: Sequence[str] = ()
    ) -> None:
        super().__init__(faults, what, names)
        self.faults, self.what, self.names = dict(sorted(faults.items())), what, names

    @property
    def rows(self) -> list[int]:
        """The faces at fault."""
        return list(self.faults)

    @property
    def lines(self) -> list[str]:
        """A sentence a face; one for all of the same name."""
        called = self.names or [f"{self.what} {row}" for row in range(max(self.faults) + 1)]
        return list(dict.fromkeys(f"{called[row]} {fault}" for row, fault in self.faults.items()))

    def __str__(self) -> str:
        return "; ".join(self.lines)

    def named(self, names: Sequence[str]) -> FaceError:
        """The same, with what the rows are called."""
        return FaceError(self.faults, self.what, names)

    def of_rows(self, rows: Sequence[int]) -> FaceError:
        """The same, where row k of the batch was row `rows[k]` of a larger one."""
        return FaceError({rows[row]: fault for row, fault in self.faults.items()}, self.what)


def without_faulty(
    run: Callable[[list[int]], Result], names: Sequence[str], if_missing: str
) -> tuple[Result, list[int], FaceError | None]:
    """The result for all rows or, passing through, for those in which there is no fault.

    Args:
        run: Takes rows of a batch; raises a `FaceError` that counts from the first of these.
        names: What each row is called.
        if_missing: One of IF_MISSING.

    Returns:
        The result, the rows that it is for, and what is wrong with the others.

    Raises:
        FaceError: A fault, and `if_missing` is "error"; or it is the source's, which all rows need.
    """
    require_if_missing(if_missing)
    rows, faults = list(range(len(names))), dict[int, str]()
    while True:
        try:
            return run(rows), rows, FaceError(faults, names=names) if faults else None
        except FaceError as error:
            if error.what == "source":
                raise
            named = error.of_rows(rows).named(names)
            if if_missing == "error":
                raise named from None
            faults |= named.faults
            rows = [row for row in rows if row not in faults]


def require_if_missing(if_missing: str) -> None:
    """Refuse what is none of IF_MISSING."""
    if if_missing not in IF_MISSING:
        expected = ", ".join(IF_MISSING)
        raise ValueError(f'if_missing is "{if_missing}", expected one of: {expected}')


def require_no_faults(faults: Mapping[int, str], what: str, names: Sequence[str] = ()) -> None:
    """Raise a `FaceError` if there is any fault."""
    if faults:
        raise FaceError(faults, what, names)
