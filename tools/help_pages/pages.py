"""What stands on a help page. Importing this needs ComfyUI's modules, or those of the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...editor_core.guidance.terms import TERMS, TermSettings
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
        return ["## Presets", term_table(node.term.name)]
    if node is GuidancePreset:
        return [
            "## Presets",
            chain_table(),
            "To match, set at Guided Face Sampler:",
            sampling_table(),
        ]
    if issubclass(node, LoaderNode):
        return ["## Published files", files_table(node.kind)]
    return ["## Presets", sampling_table()] if node is GuidedFaceSampler else []


def files_table(kind: str) -> str:
    """The published files of a kind that a loader takes."""
    files = (each for each in KNOWN_FILES if each.kind == kind and each.loads)
    rows = [(f"`{each.name}`", each.origin, each.licence) for each in files]
    return markdown_table(("File", "From", "Licence"), rows)


def term_table(name: str) -> str:
    """A term's scale and window in every preset."""
    rows = [(f"`{key}`", *weight_of(settings, name)) for key, settings in CHOICES.items()]
    head = ("Preset", "scale", "start_percent", "end_percent", "views")
    return markdown_table(head[: len(rows[0])], rows)


def weight_of(settings: EditSettings, name: str) -> list[str]:
    """The numbers of a term."""
    weight: TermSettings = getattr(settings, name)
    if not weight.scale:
        return ["left out", "", ""]
    assert isinstance(weight.window, PercentWindow)  # of every preset that a node has
    start, end = weight.window.start_percent, weight.window.end_percent
    views = [settings.views] if name == "identity" else []
    return [as_number(each) for each in (weight.scale, start, end, *views)]


def chain_table() -> str:
    """Every term of every preset."""
    head = ("Term", *(f"`{key}`" for key in CHOICES))
    rows = []
    for term in TERMS:
        numbers = [weight_of(settings, term.name) for settings in CHOICES.values()]
        rows.append((term.name, *map(in_words, numbers)))
    return markdown_table(head, rows)


def in_words(weight: Sequence[str]) -> str:
    """A term's numbers in a cell."""
    scale, start, end, *views = weight
    window = "" if (start, end) in (("", ""), ("0", "1")) else f", from {start} to {end}"
    return scale + window + "".join(f", {each} views" for each in views)


def sampling_table() -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    head = ("Input", *(f"`{key}`" for key in CHOICES))
    rows = []
    for name in SAMPLING:
        values = [getattr(settings, name) for settings in CHOICES.values()]
        shown = [value if name == "respacing" else as_shown(value) for value in values]
        rows.append(("`steps`" if name == "respacing" else f"`{name}`", *shown))
    return markdown_table(head, rows)
