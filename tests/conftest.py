"""Loads the root as the package `guided_face_edit`: under a name of its own, as a host would.

The process that hands the tests out to others runs none, and needs no torch: it is imported late.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]

# Off the path, the pack's own `nodes/` cannot shadow ComfyUI's `nodes.py`.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
runpy.run_path(str(ROOT / "tools" / "__init__.py"))["load_checkout"]()

from guided_face_edit.tests.support.standin.modules import install  # noqa: E402  the package is there only now

LONGEST = {  # files of tests by their rank
    f"test_{name}.py": rank
    for rank, name in enumerate(
        ("recipes", "batch", "attacks", "workflows", "editing", "swap", "evaluate", "golden")
    )
}
BASE = tempfile.TemporaryDirectory(prefix="face_edit_host_")
install(Path(BASE.name))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the workflow files anew")
    parser.addoption("--screenshots", metavar="DIR", help="keep what the browser tests see")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process waits for another one at the end."""
    items.sort(key=lambda item: LONGEST.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The tests share the cores among processes, and one thread keeps sums in one order."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture
def generator() -> torch.Generator:
    """A CPU generator with a fixed seed, fresh for each test."""
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def folders():
    """The `folder_paths` of the stand-in for ComfyUI, all of them under one temporary folder."""
    import folder_paths

    return folder_paths


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real ComfyUI with this pack in it, and pictures for the workflows."""
    from guided_face_edit.tests.support.live_server import find_comfyui, running
    from guided_face_edit.tests.support.workflow_files import put_pictures

    comfyui = find_comfyui()
    if comfyui is None:
        pytest.skip("no ComfyUI: name one in COMFYUI_PATH, or put the pack into its custom_nodes")
    base = tmp_path_factory.mktemp("comfyui")
    put_pictures(base / "input")
    with running(comfyui, base) as server:
        yield server
