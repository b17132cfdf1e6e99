"""A setting is declared once: its default, bounds, choices and help stand at its field.

The check, the command line's flag, the node's input and the table in its help page come from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

KEY = "declaration"  # in a field's metadata


@dataclass(frozen=True)
class Declaration:
    """What there is to know of a setting, besides its value.

    `help` says in one or two sentences what more of it does, with its unit. Bounds are inclusive;
    `high` and `step` are those of widgets, and only `low` is checked, as is each of `choices`.
    """

    help: str
    default: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: Sequence[str] = ()
    advanced: bool = False  # rarely changed: hosts that know the word fold it away

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that cannot be meant: `ValueError`, with the setting's name."""
        if self.low is not None and value < self.low:
            raise ValueError(f"{name} is {value}: expected {self.low:g} or more")
        if self.choices and value not in self.choices:
            expected = " or ".join(f'"{choice}"' for choice in self.choices)
            raise ValueError(f'{name} is "{value}", expected {expected}: choose one')


def setting(default: Any, help: str, **facts: Any) -> Any:
    """A dataclass field with its `Declaration`.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Blur:
        ...     sigma: float = setting(2.0, "Pixels; more blurs more.", low=0.0, high=64.0)
        >>> declared(Blur)["sigma"].default
        2.0
    """
    return field(default=default, metadata={KEY: Declaration(help, default, **facts)})


def shared(settings: type, name: str) -> Any:
    """A field that is declared at another dataclass."""
    declaration = declared(settings)[name]
    return field(default=declaration.default, metadata={KEY: declaration})


def declared(settings: Any) -> dict[str, Declaration]:
    """The declarations of a dataclass, by the names of its fields."""
    return {each.name: each.metadata[KEY] for each in fields(settings) if KEY in each.metadata}


def check(settings: object) -> None:
    """Refuse values that their declarations do not allow; for `__post_init__`."""
    for name, declaration in declared(settings).items():
        declaration.check(name, getattr(settings, name))
