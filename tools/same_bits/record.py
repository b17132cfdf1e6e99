"""Everything that an edit computes, as hashes: of one checkout, in a process of its own.

`python record.py CHECKOUT WORKFLOWS OUT.json GROUP...`: WORKFLOWS is the checkout whose workflow
files are run, so that files saved by an older version meet the newer one. What has moved between
versions is looked for under both names.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

PACKAGE = "guided_face_edit"
CHECKS = ("assert_near", "assert_each_near", "assert_close", "assert_same_pixels")
SEEDS = range(8)  # of the demo's pairs
TABLE = ("--evaluate", "4", "--seed", "5000")  # of the drawn world
PHOTO = {"seed": 0, "people": 2, "frames": 1, "size": (256, 448)}
AT = "76,62,166,180"  # a face of that photo

Hashes = Iterator[tuple[str, str]]


def module(*names: str) -> Any:
    """The first of the modules that the checkout has."""
    for name in (f"{PACKAGE}.{name}" for name in names):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or "?"):
                raise
    raise ImportError(f"the checkout has none of {', '.join(names)}")


def digest(value: Any) -> str | None:
    """A value's hash; None for what is no picture, number or text."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        content = f"{value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes()
    elif isinstance(value, str | float | int):
        content = repr(value).encode()
    elif isinstance(value, Image.Image):
        content = value.mode.encode() + value.tobytes()
    elif hasattr(value, "to_json"):
        content = value.to_json().encode()
    else:
        return None
    return hashlib.sha256(content).hexdigest()


def golden() -> Hashes:
    """What is compared with the golden data, in the order of the comparisons."""
    measure = module("tests.support.parity.measure", "tests.parity.measure")
    compared: list[tuple[str, str]] = []
    for name in CHECKS:  # before the checks are imported, so that they get these
        setattr(measure, name, partial(noting, getattr(measure, name), compared))
    tests = module("tests.reference.test_golden", "tests.test_golden")
    manifest = tests.read_notes(tests.FOLDER)
    for file, entry in manifest["files"].items():
        if tests.is_slow(manifest, file):
            continue
        check = next(check for start, check in tests.CHECKS.items() if file.startswith(start))
        tensors = tests.read_tensors(tests.FOLDER / file)
        compared.clear()
        try:
            check(manifest, file, entry["notes"], tensors, entry["tensors"], tests.FOLDER)
        except AssertionError as error:
            compared.append(("failed", str(error)))
        for k, (name, value) in enumerate(compared):
            again = [each for each, _ in compared[:k]].count(name)
            yield f"{file}: {name} {again or ''}", value


def noting(check: Any, compared: list, name: str, mine: Tensor, *others: Any) -> None:
    """A comparison that also keeps the hash of what is compared."""
    compared.append((name, digest(mine)))
    check(name, mine, *others)


def commands(folder: Path, weights: Path) -> Hashes:
    """What the command line writes: the demo's pairs, its table, and a face of a photo."""
    main = module("editor_core.cli", "editor_core.__main__").main
    for seed in map(str, SEEDS):
        main(["demo", "--seed", seed, "--out", str(folder / seed)])
        for path in sorted((folder / seed).iterdir()):
            read = Image.open(path) if path.suffix == ".png" else path.read_text()
            yield f"demo {seed}: {path.name}", digest(read) or ""
    main(["demo", *TABLE, "--out", str(folder)])
    table = json.loads((folder / "evaluation.json").read_text())["figures"]
    yield from ((f"table: {row['name']}", repr(row)) for row in table)
    write_png = module("editor_core.images").write_png
    source, photo, out = (str(folder / f"{name}.png") for name in ("source", "photo", "swapped"))
    write_png(source, module("editor_core.demo.pairs").draw_pairs(1, 5, 64).source.image)
    write_png(photo, module("editor_core.demo.groups").draw_group_photos(*PHOTO.values()).image)
    models = ["--models", str(weights), "--preset", "demo", "--candidates", "2"]
    main(["swap", source, photo, *models, "--source-at", "0,0,64,64", "--at", AT, "--out", out])
    yield "swap of a photo", digest(Image.open(out)) or ""


def workflows(graphs: Path, temporary: str) -> Hashes:
    """Every node's pictures, numbers and texts in every workflow; but names of temporary files."""
    files = module("tests.support.workflow_files", "tests.workflow_files")
    run_graph = module("tests.support.standin.graph", "tests.standin.graph").run_graph
    nodes = {node.define_schema().node_id: node for node in module("nodes").NODES}
    files.put_pictures(Path(importlib.import_module("folder_paths").get_input_directory()))
    for name in files.NAMES:
        for node, outputs in run_graph(files.quick_graph(graphs, name), nodes).items():
            values = ((f"{s} {k}", v) for s, row in enumerate(outputs) for k, v in enumerate(row))
            for place, value in values:
                if (hashed := digest(value)) and temporary not in str(value):
                    yield f"{name}: node {node}, output {place}", hashed


def record_groups(root: str, graphs: str, out: str, *groups: str) -> None:
    """Records the groups that are named."""
    torch.set_num_threads(1)
    sys.path[:] = [entry for entry in sys.path if entry]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, Path(root, "__init__.py"), submodule_search_locations=[root]
    )
    assert spec is not None and spec.loader is not None  # a checkout has that file
    sys.modules[PACKAGE] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    with tempfile.TemporaryDirectory() as folder:
        host = module("tests.support.standin.modules", "tests.standin.modules")
        host.install(Path(folder, "host"))
        weights = Path(root, "editor_core", "demo", "weights")
        record = {
            "golden": golden,
            "commands": lambda: commands(Path(folder), weights),
            "workflows": lambda: workflows(Path(graphs), folder),
        }
        recorded = {group: dict(record[group]()) for group in groups}
    Path(out).write_text(json.dumps(recorded, indent=1), encoding="utf-8")


if __name__ == "__main__":
    record_groups(*sys.argv[1:])
