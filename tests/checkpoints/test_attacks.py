"""No file executes, exhausts or confuses the reader: each is refused by name, with little work.

Work is counted, not timed: calls of Python functions and of built-in ones, and their returns. What
a single call may compare or copy is bounded by the attacks on it, and by the reader's memory.
Counting takes longer than the work: a file that is deep or long counts at a tenth of its length, by
the same bound for each instruction, and is read at full length with little memory.
"""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from guided_face_edit.editor_core.checkpoints.errors import CheckpointError
from guided_face_edit.editor_core.checkpoints.reading import read_checkpoint
from guided_face_edit.editor_core.models.sface import SFace, SFaceConfig
from guided_face_edit.tests.support.attacks import attacks
from guided_face_edit.tests.support.onnx_export import Style, export
from guided_face_edit.tests.support.tflite import tflite_file

ROOT = Path(__file__).resolve().parents[2]
WORK = 20_000_000  # 80 for each instruction of the longest pickle
SHORT_WORK = WORK // 10
MEGABYTES = 200
SECONDS = 100  # of CPU for all attacks together, where seven are usual: more is without end
NAMES = [attack.name for attack in attacks(Path("marker"))]

# Reads each file with little memory left, and says what came of it.
READER = f"""
import resource, sys
from pathlib import Path
from editor_core.checkpoints.reading import read_checkpoint

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + ({MEGABYTES} << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
for path in sys.stdin.read().split():
    try:
        read_checkpoint(path)
        print("nothing")
    except BaseException as error:
        print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="module")
def corpus(folder):
    return {attack.name: attack for attack in attacks(folder / "marker")}


class _Work:
    """Counts what is called within it; stops it where that is too much."""

    def __init__(self, limit):
        self.done, self.limit = 0, limit

    def __enter__(self):
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _count(self, frame, event, argument):
        self.done += 1
        if self.done > self.limit:
            sys.setprofile(None)
            pytest.fail(f"more than {self.limit:,} calls and returns")


@pytest.mark.parametrize("name", NAMES)
def test_attacks_are_refused_by_name_with_little_work(folder, corpus, name):
    attack = corpus[name]
    path = folder / attack.file
    path.write_bytes(attack.short or attack.content)
    work = _Work(SHORT_WORK if attack.short else WORK)
    with pytest.raises(CheckpointError) as refused, work:
        read_checkpoint(path)
    assert re.search(attack.reason, str(refused.value))
    assert refused.type.__name__ == attack.error
    assert str(refused.value).startswith(f"{path}: expected ")
    assert len(str(refused.value)) < 600
    assert not (folder / "marker").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_attacks_are_refused_within_200_megabytes(folder, corpus):
    for attack in corpus.values():
        (folder / attack.file).write_bytes(attack.content)
    paths = "\n".join(str(folder / attack.file) for attack in corpus.values())
    run = subprocess.run(
        [sys.executable, "-c", READER], cwd=ROOT, input=paths, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    outcomes = dict(zip(corpus, run.stdout.split(), strict=True))
    assert outcomes == {attack.name: attack.error for attack in corpus.values()}


@pytest.mark.parametrize(
    "name", ["reduce-os-system", "subprocess", "eval", "exec", "open", "stack-global", "inst"]
)
def test_an_ordinary_unpickler_would_run_them(tmp_path, name):
    attack = next(a for a in attacks(tmp_path / "marker") if a.name == name)
    pickle.loads(attack.runs)
    assert (tmp_path / "marker").exists()


def test_pickles_come_in_by_one_door():
    """The lpips package's own heads are no file of the user's."""
    modules = [*(ROOT / "editor_core").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]
    opens = re.compile(
        r"^\s*(?:import|from) (?:_?pickle|pickletools|dill|joblib)\b|torch\.load\(", re.M
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if opens.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"editor_core/checkpoints/pickles.py", "editor_core/models/lpips.py"}


@pytest.fixture(scope="module")
def seeds(folder, corpus):
    """Whole files of every container, and two that would run a program."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    weights = network.state_dict()
    path = folder / "seed"
    files = [corpus["reduce-os-system"].content, corpus["legacy-file"].content]
    for saved in (weights, network):
        for zipped in (True, False):
            torch.save(saved, path, _use_new_zipfile_serialization=zipped)
            files.append(path.read_bytes())
    save_file(weights, path)
    floats = {name: t for name, t in weights.items() if t.is_floating_point()}
    graph = export(SFace(SFaceConfig((2, 3), 4, 4)), Style(quantised="blocks", typed=True))
    return [*files, path.read_bytes(), tflite_file(floats), graph]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 8),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4))),
    share=st.floats(0.01, 1) | st.just(1.0),
)
def test_mangled_files_are_read_or_refused(folder, seeds, seed, changes, share):
    content = bytearray(seeds[seed])
    for at, change in changes:
        start = int(at * len(content))
        content[start : start + len(change)] = change
    content = content[: int(share * len(content))]
    path = folder / "mangled"
    path.write_bytes(content)
    try:
        tensors = read_checkpoint(path).tensors.values()
    except CheckpointError as error:
        assert str(error).startswith(f"{path}: expected ")
    else:
        assert sum(t.clone().nbytes for t in tensors) <= 4 * len(content) + (1 << 20)
    assert not (folder / "marker").exists()
