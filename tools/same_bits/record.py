"""Everything that an edit computes, as hashes: of one checkout, in a process of its own.

`python record.py CHECKOUT WORKFLOWS OUT.json GROUP...`: WORKFLOWS is the checkout whose workflow
files are run, so that files saved by an older version meet the newer one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

PACKAGE = "guided_face_edit"
SEEDS = range(8)  # of the demo's pairs
EVALUATED, FIRST = 4, 5000  # pairs of the drawn world's table, and the seed of the first
CHECKS = ("assert_near", "assert_each_near", "assert_close", "assert_same_pixels")
PHOTO = {"seed": 0, "people": 2, "frames": 1, "size": (256, 448)}
AT = "76,62,166,180"  # a face of that photo


def load(root: Path) -> None:
    """The checkout as the package `guided_face_edit`, in a small stand-in of ComfyUI."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} is no checkout: expected __init__.py in it")
    sys.modules[PACKAGE] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


def module(*names: str) -> Any:
    """The first of the modules that the checkout has: it may have moved between versions."""
    for name in names:
        try:
            return importlib.import_module(f"{PACKAGE}.{name}")
        except ModuleNotFoundError as error:
            if not f"{PACKAGE}.{name}".startswith(error.name or "?"):
                raise
    raise ImportError(f"the checkout has none of {', '.join(names)}")


def digest(value: Any) -> str | None:
    """A value's hash; None for what is no picture, number or text."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        described = f"{value.dtype} {tuple(value.shape)}".encode()
        content = described + value.numpy().tobytes()
    elif isinstance(value, str | float | int):
        content = repr(value).encode()
    elif hasattr(value, "to_json"):
        content = value.to_json().encode()
    else:
        return None
    return hashlib.sha256(content).hexdigest()


def pixels(path: Path) -> str:
    """The hash of a picture file's pixels, whatever it says of itself."""
    with Image.open(path) as picture:
        return hashlib.sha256(picture.mode.encode() + picture.tobytes()).hexdigest()


def golden() -> Iterator[tuple[str, str]]:
    """What is compared with the golden data, in the order of the comparisons."""
    measure = module("tests.support.parity.measure", "tests.parity.measure")
    seen: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    for name in CHECKS:
        setattr(measure, name, recording(getattr(measure, name), seen, counts))
    tests = module("tests.reference.test_golden", "tests.test_golden")
    folder = tests.FOLDER
    for file, entry in tests.read_notes(folder)["files"].items():
        check = next((c for start, c in tests.CHECKS.items() if file.startswith(start)), None)
        if check is None or tests.is_slow(tests.read_notes(folder), file):
            continue
        counts.clear()
        begun = len(seen)
        try:
            tensors = tests.read_tensors(folder / file)
            check(tests.read_notes(folder), file, entry["notes"], tensors, entry["tensors"], folder)
        except AssertionError as error:
            seen.append(("failed", str(error)))
        yield from ((f"{file}: {name}", value) for name, value in seen[begun:])


def recording(
    check: Callable[..., None], seen: list[tuple[str, str]], counts: Counter[str]
) -> Callable[..., None]:
    """The comparison, which also notes the hash of what is compared."""

    def noting(name: str, mine: Tensor, *others: Any) -> None:
        counts[name] += 1
        seen.append((f"{name} #{counts[name]}", digest(mine) or ""))
        check(name, mine, *others)

    return noting


def commands(folder: Path, weights: Path) -> Iterator[tuple[str, str]]:
    """What the command line writes: the demo's pairs, its table, and a face of a photo."""
    main = module("editor_core.cli", "editor_core.__main__").main
    for seed in SEEDS:
        out = folder / f"demo{seed}"
        main(["demo", "--seed", str(seed), "--out", str(out)])
        for path in sorted(out.iterdir()):
            value = pixels(path) if path.suffix == ".png" else digest(path.read_text())
            yield f"demo {seed}: {path.name}", value or ""
    count, seed = str(EVALUATED), str(FIRST)
    main(["demo", "--evaluate", count, "--seed", seed, "--out", str(folder)])
    table = json.loads((folder / "evaluation.json").read_text())["figures"]
    yield from ((f"table: {row['name']}", repr(row)) for row in table)
    yield "swap of a photo", swapped(main, folder, weights)


def swapped(main: Callable[[list[str]], int], folder: Path, weights: Path) -> str:
    """The pixels of a drawn photo with one face edited."""
    images = module("editor_core.images")
    photo = module("editor_core.demo.groups").draw_group_photos(*PHOTO.values()).image
    source = module("editor_core.demo.pairs").draw_pairs(1, 5, 64).source.image
    names = [str(folder / f"{name}.png") for name in ("source", "photo", "swapped")]
    images.write_png(names[0], source)
    images.write_png(names[1], photo)
    models = ["--models", str(weights), "--preset", "demo", "--candidates", "2"]
    main(["swap", *names[:2], *models, "--source-at", "0,0,64,64", "--at", AT, "--out", names[2]])
    return pixels(Path(names[2]))


def workflows(graphs: Path, temporary: str) -> Iterator[tuple[str, str]]:
    """Every node's pictures, numbers and texts in every workflow; but names of temporary files."""
    files = module("tests.support.workflow_files", "tests.workflow_files")
    run_graph = module("tests.support.standin.graph", "tests.standin.graph").run_graph
    nodes = {node.define_schema().node_id: node for node in module("nodes").NODES}
    files.put_pictures(Path(importlib.import_module("folder_paths").get_input_directory()))
    for name in files.NAMES:
        done = run_graph(files.quick_graph(graphs, name), nodes)
        for number, outputs in done.items():
            for slot, values in enumerate(outputs):
                for k, value in enumerate(values):
                    hashed = digest(value)
                    if hashed and temporary not in str(value):
                        yield f"{name}: node {number}, output {slot}, {k}", hashed


def main(root: str, graphs: str, out: str, *groups: str) -> None:
    """Records the groups that are named."""
    torch.set_num_threads(1)
    sys.path[:] = [entry for entry in sys.path if entry]
    load(Path(root))
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
    main(*sys.argv[1:])
