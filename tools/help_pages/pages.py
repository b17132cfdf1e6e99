"""What stands on a help page. Importing this needs ComfyUI's modules, or those of the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...editor_core.guidance.terms import TERMS, GuidanceTerm, TermSettings
from ...editor_core.guidance.windows import PercentWindow
from ...editor_core.loading.published_files import KNOWN_FILES
from ...editor_core.settings import EditSettings
from ...nodes.guidance import CHOICES, GuidancePreset, TermNode
from ...nodes.guided_sampler import GuidedFaceSampler
from ...nodes.loaders import LoaderNode

NOTES = "## Notes\n"
SAMPLING = ("sampler", "respacing", "skip", "eta", "ramp_end", "clip_denoised")


def notes_in(path: Path) -> str:
    """What a page says from its notes on."""
    text = path.read_text(encoding="utf-8") if path.exists() else NOTES
    _, heading, notes = text.partition(NOTES)
    return heading + notes


def help_page(node: Any, notes: str) -> str:
    """The page of a node."""
    schema = node.GET_SCHEMA()
    inputs = [
        (f"`{each.id}`", each.io_type, values_of(each), each.tooltip) for each in schema.inputs
    ]
    outputs = [(f"`{each.display_name}`", each.io_type, each.tooltip) for each in schema.outputs]
    parts = [
        f"# {schema.display_name}",
        schema.description,
        "## Inputs",
        markdown_table(("Name", "Type", "Value", "What it does"), inputs) if inputs else "None.",
        "## Outputs",
        markdown_table(("Name", "Type", "What it is"), outputs) if outputs else "None.",
        *further_tables(node),
        notes,
    ]
    return "\n\n".join(parts)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def values_of(each: Any) -> str:
    """What an input may be: a socket is wired or not, a widget has a default and bounds."""
    if not hasattr(each, "default"):
        return "optional" if each.optional else "required"
    words = [default_of(each)]
    if each.optional:
        words.append("optional")
    if getattr(each, "advanced", False):
        words.append("advanced")
    return ", ".join(words)


def default_of(each: Any) -> str:
    """A widget's default, and what else it may be."""
    if each.io_type == "COMBO":
        choices = " or ".join(f"`{choice}`" for choice in each.options)
        return f"{choices}, default `{each.default}`" if each.default else "a file"
    if each.io_type in ("INT", "FLOAT"):
        bounds = f"{as_number(each.min)} to {as_number(each.max)}"
        return f"{bounds}, default {as_number(each.default)}"
    return f"default {as_shown(each.default)}"


def as_shown(value: object) -> str:
    """A value as a node shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return as_number(value)
    return f"`{value}`" if value else "empty"


def as_number(value: float) -> str:
    """Digits, without the zeros of a whole number."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def further_tables(node: Any) -> list[str]:
    """What the presets set on a node, or which published files it loads."""
    if issubclass(node, TermNode):
        return ["## Presets", weights_table(node.term)]
    if node is GuidancePreset:
        match = "To match, set at Guided Face Sampler:"
        return ["## Presets", weights_table(*TERMS), match, sampling_table()]
    if node is GuidedFaceSampler:
        return ["## Presets", sampling_table()]
    if issubclass(node, LoaderNode):
        files = (each for each in KNOWN_FILES if each.kind == node.kind and each.loads)
        rows = [(f"`{each.name}`", each.origin, each.licence) for each in files]
        return ["## Published files", markdown_table(("File", "From", "Licence"), rows)]
    return []


def weights_table(*terms: type[GuidanceTerm]) -> str:
    """The scales and windows of terms in every preset."""
    rows = [
        (term.name, *(weight_of(settings, term.name) for settings in CHOICES.values()))
        for term in terms
    ]
    return markdown_table(("Term", *(f"`{key}`" for key in CHOICES)), rows)


def weight_of(settings: EditSettings, name: str) -> str:
    """The scale and the window of a term, and the views of the identity."""
    weight: TermSettings = getattr(settings, name)
    if not weight.scale:
        return "left out"
    assert isinstance(weight.window, PercentWindow)  # of every preset that a node has
    start, end = weight.window.start_percent, weight.window.end_percent
    window = f"{as_number(weight.scale)}, from {as_number(start)} to {as_number(end)}"
    return f"{window}, {settings.views} views" if name == "identity" else window


def sampling_table() -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    head = ("Input", *(f"`{key}`" for key in CHOICES))
    rows = []
    for name in SAMPLING:
        values = [getattr(settings, name) for settings in CHOICES.values()]
        shown = [value if name == "respacing" else as_shown(value) for value in values]
        rows.append(("`steps`" if name == "respacing" else f"`{name}`", *shown))
    return markdown_table(head, rows)
