"""What stands on a help page. Importing this needs ComfyUI's modules, or those of the tests."""

from pathlib import Path
from typing import Any

from ...editor_core.guidance.terms import TERMS, GuidanceTerm, TermSettings
from ...editor_core.guidance.windows import PercentWindow
from ...editor_core.loading.published_files import KNOWN_FILES
from ...editor_core.settings import EditSettings
from ...nodes.guidance import CHOICES, GuidancePreset, TermNode
from ...nodes.guided_sampler import GuidedFaceSampler
from ...nodes.loaders import LoaderNode
from . import markdown_table

NOTES = "## Notes\n"
SAMPLING = ("sampler", "respacing", "skip", "eta", "ramp_end", "clip_denoised")


def notes_in(path: Path) -> str:
    """What a page says from its notes on."""
    text = path.read_text(encoding="utf-8") if path.exists() else NOTES
    _, heading, notes = text.partition(NOTES)
    return heading + notes


def help_page(node: Any, notes: str) -> str:
    schema = node.GET_SCHEMA()
    inputs = [(f"`{x.id}`", x.io_type, values_of(x), x.tooltip) for x in schema.inputs]
    outputs = [(f"`{x.display_name}`", x.io_type, x.tooltip) for x in schema.outputs]
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


def values_of(each: Any) -> str:
    """What an input may be: a socket is wired or not, a widget has a default and bounds."""
    if not hasattr(each, "default"):
        return "optional" if each.optional else "required"
    marks = [mark for mark in ("optional", "advanced") if getattr(each, mark, False)]
    return ", ".join([default_of(each), *marks])


def default_of(each: Any) -> str:
    """A widget's default, and what else it may be."""
    if each.io_type == "COMBO":
        choices = " or ".join(f"`{choice}`" for choice in each.options)
        return f"{choices}, default `{each.default}`" if each.default else "a file"
    default = f"default {as_shown(each.default)}"
    if each.io_type in ("INT", "FLOAT"):
        return f"{as_number(each.min)} to {as_number(each.max)}, {default}"
    return default


def as_shown(value: object) -> str:
    """A value as a node shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
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
    rows = [(each.name, *(weight_of(p, each.name) for p in CHOICES.values())) for each in terms]
    return markdown_table(("Term", *(f"`{key}`" for key in CHOICES)), rows)


def weight_of(settings: EditSettings, name: str) -> str:
    """The scale and the window of a term, and the views of the identity."""
    weight: TermSettings = getattr(settings, name)
    if not weight.scale:
        return "left out"
    assert isinstance(weight.window, PercentWindow)  # of every preset that a node has
    scale, start, end = map(as_number, (weight.scale, *vars(weight.window).values()))
    views = f", {settings.views} views" if name == "identity" else ""
    return f"{scale}, from {start} to {end}{views}"


def sampling_table() -> str:
    """What a preset sets on the sampler, which a chain cannot carry."""
    rows = []
    for name in SAMPLING:
        values = [getattr(settings, name) for settings in CHOICES.values()]
        if name == "respacing":
            rows.append(("`steps`", *values))
        else:
            rows.append((f"`{name}`", *map(as_shown, values)))
    return markdown_table(("Input", *(f"`{key}`" for key in CHOICES)), rows)
