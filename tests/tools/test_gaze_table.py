"""The table of gazes: its judge reads the truth, and its rows are honest."""

import json
from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.models import load_demo_models
from guided_face_edit.editor_core.editing import edit_face
from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.face.parsing import FacePart
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tools.gaze_table.command import gaze_table
from guided_face_edit.tools.gaze_table.measurements import degrees_between
from guided_face_edit.tools.gaze_table.people import DrawnGazeJudge, draw_people, nearest, vertex


@pytest.fixture(scope="module")
def people():
    return draw_people(1, 100, 32)


def test_people_are_the_same_whoever_else_is_drawn(people):
    torch.testing.assert_close(draw_people(2, 100, 32).scene.values[:1], people.scene.values)


def test_the_judge_reads_the_gaze_that_was_drawn(people):
    drawn = people.looking(torch.tensor([7.0]), torch.tensor([-13.0]))
    read = DrawnGazeJudge.of(people).read(drawn.image)
    assert degrees_between(read, drawn.gaze).item() < 1
    assert degrees_between(read, people.draw().gaze).item() > 5


def test_between_the_steps_of_the_grid_a_parabola_decides():
    values = torch.tensor([9.0, 1.0, 0.0, 3.0])
    assert vertex(values, 2) == pytest.approx(-0.25)
    assert vertex(values, 0) == vertex(values, 3) == 0  # at an edge there is nothing to decide
    grid = torch.ones(13, 15)
    grid[6, 7] = 0
    assert nearest(grid.flatten()) == (0, 0)


def test_a_gaze_that_is_set_leaves_the_lids_as_they_are():
    target, goal = draw_people(1, 100, 64).draw().image, GazeGoal("set", 10.0, -15.0)
    settings = replace(preset("demo-gaze"), respacing="2", skip=0, candidates=1, gaze_goal=goal)
    result = edit_face(load_demo_models(), target, target, settings)
    assert result.labels is not None
    eyes = torch.isin(result.labels, torch.tensor([FacePart.L_EYE, FacePart.R_EYE]))
    changed = (result.images[:, 0] != target).any(3)
    assert changed[eyes].any() and not changed[~eyes].any()


def test_a_table_is_printed_and_written(tmp_path, capsys):
    settings = replace(preset("demo-gaze"), respacing="1", skip=0)
    gaze_table(1, 100, [(10.0, -5.0)], settings, tmp_path)
    written, printed = json.loads((tmp_path / "gaze.json").read_text()), capsys.readouterr().out
    assert written["command"] == "python -m tools.gaze_table 1 --seed 100"
    assert all(figure["name"] in printed for figure in written["figures"])
    outside = written["figures"][-1]
    assert outside["name"] == "outside the eyes bit-identical" and outside["value"] == 1
    assert [(each["pitch"], each["yaw"]) for each in written["grid"]] == [(10.0, -5.0)]
