"""What the documentation takes from the code when it is built, so that nothing is typed twice.

A line `<!-- from the code: NAME -->` in a page becomes what the function `NAME` here returns. The
help pages of the nodes, CONTRIBUTING and CHANGELOG become pages of their own.
"""

from __future__ import annotations

import argparse
import ast
import doctest
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
if "guided_face_edit" not in sys.modules:  # else the tests have loaded it
    sys.path.append(str(ROOT))
    # From there mkdocstrings takes the package too, whatever the name of its folder.
    import_module("tools").load_checkout()

from guided_face_edit import editor_core  # noqa: E402
from guided_face_edit.editor_core import cli, presets  # noqa: E402
from guided_face_edit.editor_core.declare import Declaration, declared  # noqa: E402
from guided_face_edit.editor_core.face.clip import TextWish  # noqa: E402
from guided_face_edit.editor_core.face.detecting import FaceDetector  # noqa: E402
from guided_face_edit.editor_core.face.gaze import GazeGoal  # noqa: E402
from guided_face_edit.editor_core.face.pasting import Pasting  # noqa: E402
from guided_face_edit.editor_core.guidance.terms import TERMS, TermSettings  # noqa: E402
from guided_face_edit.editor_core.guidance.windows import ALWAYS, PercentWindow  # noqa: E402
from guided_face_edit.editor_core.loading.published_files import KNOWN_FILES  # noqa: E402
from guided_face_edit.editor_core.settings import EditSettings  # noqa: E402
from guided_face_edit.tools.help_pages import markdown_table  # noqa: E402
from guided_face_edit.tools.import_graph.command import draw_rooms  # noqa: E402

DECLARED = (EditSettings, FaceDetector, GazeGoal, Pasting, TextWish)
DECLARING: dict[str, Any] = {each.__name__: each for each in DECLARED}
HELP = ROOT / "web" / "docs"
BENCHMARKS = ROOT / "benchmarks"
PART = re.compile(r"^<!-- from the code: (\w+) ?([\w-]*) -->$", re.MULTILINE)
CONFIGURATIONS = {
    "demo": "demo, 64x64",
    "256-128": "128 channels, 256x256",
    "256-256": "256 channels, 256x256",
}


def on_config(config: MkDocsConfig) -> None:
    """Put the nodes' help pages into the navigation."""
    nodes = next(part["Nodes"] for part in config.nav or () if "Nodes" in part)
    nodes.extend(f"nodes/{page.name}" for page in sorted(HELP.glob("*.md"), key=title))


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that stand elsewhere in the repository, and the drawing of the rooms."""
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, f"{name.lower()}.md", content=text))
    for path in HELP.iterdir():
        files.append(File.generated(config, f"nodes/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "rooms.svg", content=draw_rooms(ROOT)))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in what the page asks for from the code."""
    return PART.sub(lambda part: PARTS[part[1]](*filter(None, [part[2]])), markdown)


def settings_table(of: str = "EditSettings") -> str:
    """Every declared number of a class of `DECLARING`; of an edit, all but those of its terms."""
    rows = [
        (f"`{name}`", shown(each.default), allowed(each), each.help)
        for name, each in declared(DECLARING[of]).items()
    ]
    return markdown_table(("setting", "default", "may be", "what it does"), rows)


def allowed(declaration: Declaration) -> str:
    """The values that a setting may have."""
    if declaration.choices:
        return " or ".join(f"`{choice}`" for choice in declaration.choices)
    if declaration.low is None:
        return type(declaration.default).__name__
    return f"{declaration.low:g} or more"


def shown(value: object) -> str:
    """A value as its user writes it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if number else f"`{value}`"


def terms_table() -> str:
    """The guidance terms with their scale and window in every preset."""
    rows = [
        (f"`{term.name}`", first_line(term.__doc__))
        + tuple(acting(getattr(each, term.name)) for each in presets.PRESETS.values())
        for term in TERMS
    ]
    return markdown_table(("term", "what it measures", *presets.PRESETS), rows)


def acting(term: TermSettings) -> str:
    """A term's scale, and when it acts where that is not always."""
    if not term.scale or term.window == ALWAYS:
        return f"{term.scale:g}"
    window = term.window
    if isinstance(window, PercentWindow):
        return f"{term.scale:g}, from {window.start_percent:g} to {window.end_percent:g}"
    return f"{term.scale:g}, " + ", ".join(f"{name} step {at}" for name, at in vars(window).items())


def presets_table() -> str:
    """The settings in which the presets differ."""
    names = list(declared(EditSettings))
    rows = [[getattr(each, name) for each in presets.PRESETS.values()] for name in names]
    return markdown_table(
        ("setting", *presets.PRESETS),
        [
            (f"`{name}`", *map(shown, row))
            for name, row in zip(names, rows, strict=True)
            if len(set(row)) > 1
        ],
    )


def published_files() -> str:
    """The published files that the editor knows by name."""
    rows = [
        (each.kind, f"`{each.name}`", each.licence, each.origin)
        for each in KNOWN_FILES
        if each.loads
    ]
    return markdown_table(("kind", "file", "licence", "from"), rows)


def rooms_table() -> str:
    """The rooms of the editor and what each says of itself."""
    core = ROOT / "editor_core"
    paths = [*core.glob("*.py"), *core.glob("*/__init__.py")]
    rooms = {
        path.parent.name if path.name == "__init__.py" else path.stem: first_line(
            ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        )
        for path in paths
    }
    return markdown_table(
        ("room", "what it is"),
        [
            (f"`{room}`", rooms[room])
            for room in sorted(rooms)
            if room not in ("editor_core", "__main__")
        ],
    )


def nodes_table() -> str:
    """The nodes and the first sentence of their help."""
    rows = [
        (
            f"[{title(page)}]({page.name})",
            page.read_text(encoding="utf-8").split("\n\n")[1].split(". ")[0].rstrip("."),
        )
        for page in sorted(HELP.glob("*.md"), key=title)
    ]
    return markdown_table(("node", "what it does"), rows)


def title(page: Path) -> str:
    """The heading of a help page."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def first_line(docstring: str | None) -> str:
    """The first sentence of a docstring, without its full stop."""
    return (docstring or "").partition("\n")[0].rstrip(".")


def usage(command: str) -> str:
    """The help of one command, as it prints it."""
    os.environ["COLUMNS"] = "100"
    commands = next(
        action
        for action in cli.build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return f"```text\n{commands.choices[command].format_help()}```"


def example(name: str) -> str:
    """The example of a public function, which a test runs."""
    examples = doctest.DocTestParser().get_examples(getattr(editor_core, name).__doc__)
    return f"```python\n{''.join(each.source for each in examples)}```"


def figures(name: str) -> Mapping[str, Any]:
    """A benchmark's results."""
    return json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))


def evaluation(of: str = "evaluation") -> str:
    """A table of the drawn world."""
    return intervals(f"demo/{of}.json")


def real_faces() -> str:
    """The table of real faces."""
    return intervals("real_faces/evaluation.json")


def intervals(name: str) -> str:
    """A benchmark's figures, each with its interval."""
    rows = [
        (
            each["name"],
            rounded(each["value"]),
            f"{rounded(each['low'])} to {rounded(each['high'])}",
            each["required"],
            ("yes" if each["reached"] else "no") if each["required"] else "",
        )
        for each in figures(name)["figures"]
    ]
    return markdown_table(("figure", "value", "95% interval", "required", "reached"), rows)


def rounded(value: float) -> str:
    """Three places, or two digits of what is smaller."""
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.5f}"


def sweep() -> str:
    """Quality against seconds."""
    trials = figures("demo/sweep.json")["trials"]
    held = list(trials[0]["as_good_as"])
    names = [figure["name"] for figure in trials[0]["figures"]]
    rows = [
        (
            each["name"],
            f"{each['seconds']:.2f}",
            f"{each['cheaper_by'][held[0]]:.1f}",
            *(f"{figure['value']:.2f}" for figure in each["figures"]),
            *("yes" if each["as_good_as"][name] else "no" for name in held),
            "yes" if each["pareto"] else "",
        )
        for each in trials
    ]
    head = ("settings", "seconds an edit", f"cheaper than {held[0]}", *names)
    return markdown_table(
        (*head, *(f"as good as {name}" for name in held), "on the Pareto front"), rows
    )


def steps() -> str:
    """Everything that the benchmark measured of a step, a column for each configuration."""
    measured = {name: figures(f"step/{name}-cpu.json")["tables"] for name in CONFIGURATIONS}
    parts = []
    for heading in next(iter(measured.values())):
        columns = [
            {each["name"]: each["value"] for each in tables[heading]}
            for tables in measured.values()
        ]
        rows = [
            (name, *(f"{column[name]:.4g}" if name in column else "" for column in columns))
            for name in dict.fromkeys(name for column in columns for name in column)
        ]
        head = ("", *CONFIGURATIONS.values())
        parts.append(f"### {heading}\n\n{markdown_table(head, rows)}")
    return "\n\n".join(parts)


FUNCTIONS = (
    *(settings_table, terms_table, presets_table, published_files, rooms_table, nodes_table, usage),
    example,
    *(evaluation, real_faces, sweep, steps),
)
PARTS: Mapping[str, Callable[..., str]] = {each.__name__: each for each in FUNCTIONS}
