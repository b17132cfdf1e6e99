"""Many pairs: every one edited once or reported with its reason, whatever stops the run."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from guided_face_edit.editor_core.__main__ import main
from guided_face_edit.editor_core.demo.models import WEIGHTS
from guided_face_edit.editor_core.demo.pairs import draw_pairs
from guided_face_edit.editor_core.images import read_image, write_png

QUICK = (
    *("--models", str(WEIGHTS), "--preset", "demo", "--threads", "1"),
    *("--respacing", "1", "--skip", "0", "--candidates", "1"),
)


def write_pairs(folder, count):
    """`sources/`, `targets/` and `pairs.csv` of people nobody trained on."""
    drawn = draw_pairs(count, 0, 64)
    rows = []
    for k in range(count):
        row = {"source": f"sources/s{k}.png", "target": f"targets/t{k}.png"}
        for kind, path in row.items():
            (folder / path).parent.mkdir(exist_ok=True)
            write_png(folder / path, getattr(drawn, kind).image[k])
        rows.append(row)
    write_table(folder / "pairs.csv", rows)
    return rows


def write_table(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, 2)
    return tmp_path


def batch(*options):
    return main(["batch", *options, "--out", "edits", *QUICK])


def report(folder=Path("edits")):
    return [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]


def edits():
    return {path.name: path.stat().st_mtime_ns for path in Path("edits").glob("*.png")}


def test_two_folders_and_a_table_are_the_same_pairs(folder, capsys):
    assert batch("--sources", "sources", "--targets", "targets") == 0
    made = edits()
    assert set(made) == {"s0_on_t0.png", "s1_on_t1.png"}
    assert [line["status"] for line in report()] == ["done", "done"]
    assert batch("pairs.csv") == 0
    assert edits() == made, "nothing is edited twice"
    assert len(report()) == 2
    assert "2 edited, 2 of them before" in capsys.readouterr().out


def test_a_batch_writes_what_swap_writes(folder):
    assert batch("pairs.csv") == 0
    options = QUICK[: QUICK.index("--threads")] + QUICK[QUICK.index("--respacing") :]
    assert main(["swap", "sources/s1.png", "targets/t1.png", *options]) == 0
    assert torch.equal(read_image("edited.png"), read_image("edits/s1_on_t1.png"))


def test_a_target_without_eyes_is_named(folder):
    write_png("targets/t0.png", torch.zeros(64, 64, 3))
    assert batch("pairs.csv") == 2
    assert report()[0]["reason"].startswith("targets/t0.png shows no l_eye, expected both eyes")
    assert report()[1]["status"] == "done"


def test_failures_are_reported_and_tried_again(folder, capsys):
    whole = Path("sources/s0.png").read_bytes()
    Path("sources/s0.png").write_bytes(whole[:200])
    assert batch("pairs.csv") == 2
    assert "1 of 2 pairs failed: " in capsys.readouterr().err
    one, other = report()
    assert (one["name"], one["status"]) == ("s0_on_t0", "failed")
    assert "s0.png cannot be decoded" in one["reason"]
    assert (other["status"], other["reason"]) == ("done", "")
    before = edits()
    assert set(before) == {"s1_on_t1.png"}
    Path("sources/s0.png").write_bytes(whole)
    assert batch("pairs.csv") == 0
    assert {line["name"]: line["status"] for line in report()} == {
        "s0_on_t0": "done",
        "s1_on_t1": "done",
    }
    assert edits()["s1_on_t1.png"] == before["s1_on_t1.png"]


def test_edits_of_other_settings_are_not_taken_for_done(folder, capsys):
    assert batch("pairs.csv") == 0
    assert batch("pairs.csv", "--seed", "7") == 2
    assert "s0_on_t0.png was made of another pair, by other models" in capsys.readouterr().err


def test_edits_of_a_version_that_knew_fewer_settings_are_taken_for_done(folder, capsys):
    assert batch("pairs.csv") == 0
    for path in Path("edits").glob("*.png"):
        with Image.open(path) as picture:
            text = dict(picture.text)
        settings = json.loads(text["settings"])
        del settings["noise"], settings["exact"]
        write_png(path, read_image(path), {**text, "settings": json.dumps(settings)})
    assert batch("pairs.csv") == 0
    assert "2 edited, 2 of them before" in capsys.readouterr().out


def test_an_edit_names_files_and_no_folders(folder):
    from PIL import Image

    assert batch(str(folder / "pairs.csv")) == 0
    with Image.open("edits/s0_on_t0.png") as file:
        text = file.text
    record = json.loads(text["pair"])
    assert (record["source"], record["target"]) == ("s0.png", "t0.png")
    assert str(folder) not in "".join(text.values())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"source": "a.png", "goal": "b.png"}], "line 2: expected columns source and target"),
        ([{"source": "a.png", "target": ""}], "line 2: expected columns source and target"),
        ([{"source": "a.png", "target": "b.png"}] * 2, '2 pairs are named "a_on_b"'),
        ([{"name": "../x", "source": "a.png", "target": "b.png"}], 'named "../x"'),
    ],
)
def test_tables_that_cannot_be(folder, capsys, rows, message):
    write_table("wrong.csv", rows)
    assert batch("wrong.csv") == 2
    assert message in capsys.readouterr().err
    assert not Path("edits").exists()


def test_pairs_are_named_one_way(folder, capsys):
    assert batch() == 2
    assert batch("pairs.csv", "--sources", "sources") == 2
    assert capsys.readouterr().err.count("give one of the two") == 2


@pytest.mark.slow
def test_a_killed_worker_of_two_loses_nothing_and_doubles_nothing(tmp_path, root):
    """And the pictures are those of one process, bit for bit."""
    pytest.importorskip("ray")
    count = 12
    write_pairs(tmp_path, count)
    command = [sys.executable, "-m", "editor_core", "batch", str(tmp_path / "pairs.csv"), *QUICK]
    alone, cluster = tmp_path / "alone", tmp_path / "cluster"
    subprocess.run([*command, "--out", str(alone)], cwd=root, check=True)
    options = ["--out", str(cluster), "--ray", "--workers", "2"]
    run = subprocess.Popen([*command, *options], cwd=root, start_new_session=True)
    killed = kill_a_worker(run, cluster / "report.jsonl", count // 2)
    assert run.wait(timeout=300) == 0 and killed
    names = [line["name"] for line in report(cluster)]
    assert sorted(names) == sorted(f"s{k}_on_t{k}" for k in range(count))
    assert {line["status"] for line in report(cluster)} == {"done"}
    for name in names:
        same = read_image(alone / f"{name}.png"), read_image(cluster / f"{name}.png")
        assert torch.equal(*same), name


def kill_a_worker(run, path, lines):
    """Kill one of the run's Ray actors once the report has so many lines."""
    while run.poll() is None:
        if path.exists() and len(path.read_text().splitlines()) >= lines:
            worker = next(iter(workers_of(run.pid)))
            os.kill(worker, signal.SIGKILL)
            return worker
        time.sleep(0.05)
    return None


def workers_of(pid):
    """The Ray actors among a process's descendants, by their command lines (Linux)."""
    for child in children_of(pid):
        if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"ray::PairEditor"):
            yield child
        yield from workers_of(child)


def children_of(pid):
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
