"""What developers run and users do not: training, evaluation, benchmark, proofs, documentation.

From the root of a checkout: `python -m tools.NAME`. The tools import the pack as the package
`guided_face_edit`, as the tests and ComfyUI do, whatever the checkout's folder is called.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "guided_face_edit"
ROOT = Path(__file__).resolve().parents[1]


def run(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a tool with these arguments, by default those of the command line."""
    load_checkout()
    errors = importlib.import_module(f"{PACKAGE}.editor_core.cli.errors")
    tool = importlib.import_module(f"{PACKAGE}.tools.{name}.command")
    try:
        return tool.main(arguments) or 0
    except errors.USER_ERRORS as error:
        print(errors.one_line(error), file=sys.stderr)
        return 2


def load_checkout() -> None:
    """Import the root of this checkout under the package's name."""
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None  # the file is there
    sys.modules[PACKAGE] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
