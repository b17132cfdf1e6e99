"""Inputs of nodes: of settings, as the core declares them, and of what only a node has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..editor_core.declare import Declaration, declared

KINDS: dict[type, Any] = {bool: io.Boolean, int: io.Int, float: io.Float, str: io.String}


def setting_inputs(settings: Any, *names: str, **changes: Any) -> list[io.Input]:
    """Inputs of settings: type, default, bounds, choices and help as they are declared.

    Args:
        settings: A dataclass of settings; of an instance, its values are the defaults.
        names: Of the settings; by default all.
        changes: What these inputs say otherwise, as `optional=True` or another `tooltip`.
    """
    declarations = declared(settings)
    if not isinstance(settings, type):
        declarations = {
            name: replace(each, default=type(each.default)(getattr(settings, name)))
            for name, each in declarations.items()
        }
    return [_make_input(name, declarations[name], changes) for name in names or declarations]


def widget(
    name: str,
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: Iterable[str] = (),
    advanced: bool = False,
    **facts: Any,
) -> io.Input:
    """An input that only a node has: a number, switch, choice or text, as its default is."""
    declaration = Declaration(help, default, low, high, step, tuple(choices), advanced)
    return _make_input(name, declaration, facts)


def seed_input(help: str, high: int = 0xFFFFFFFF) -> io.Input:
    """A seed, which the page can step after every run."""
    return widget("seed", 0, help, low=0, high=high, control_after_generate=True)


def _make_input(name: str, declaration: Declaration, changes: dict[str, Any]) -> io.Input:
    facts: dict[str, Any] = {"default": declaration.default, "tooltip": declaration.help}
    kind = KINDS[type(declaration.default)]
    if declaration.choices:
        kind, facts["options"] = io.Combo, list(declaration.choices)
    elif kind in (io.Int, io.Float):
        facts |= {"min": declaration.low, "max": declaration.high, "step": declaration.step}
    made = kind.Input(name, **facts | changes)
    if declaration.advanced:
        made.advanced = True  # no argument: old hosts do not know it, and do not read it
    return made
