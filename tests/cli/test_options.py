"""Flags follow from the declarations of the settings."""

import argparse
from dataclasses import dataclass

import pytest

from guided_face_edit.editor_core.cli.options import (
    GOAL,
    SETTINGS,
    add_setting,
    add_settings,
    settings_of,
)
from guided_face_edit.editor_core.declare import declared, setting
from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.editor_core.settings import EditSettings


@dataclass(frozen=True)
class Oven:
    """Settings to make flags of."""

    heat_up: float = setting(180.0, "Degrees; 100% browns.", low=20.0)
    mode: str = setting("air", "How the heat comes.", choices=("air", "grill"))
    turns: int = setting(1, "How often it is turned.")


@pytest.fixture
def parser():
    return argparse.ArgumentParser()


def test_a_flag_has_the_type_choices_and_help_of_its_declaration(parser):
    for name in declared(Oven):
        add_setting(parser, Oven, name)
    given = parser.parse_args(["--heat-up", "200", "--mode", "grill", "--turns", "2"])
    assert vars(given) == {"heat_up": 200.0, "mode": "grill", "turns": 2}
    assert set(vars(parser.parse_args([])).values()) == {None}
    text = " ".join(parser.format_help().split())
    assert all(each.help in text for each in declared(Oven).values()) and "{air,grill}" in text
    with pytest.raises(SystemExit):
        parser.parse_args(["--mode", "steam"])


def test_without_flags_the_presets_values_stand(parser):
    add_settings(parser)
    text = " ".join(parser.format_help().split())
    for name in SETTINGS:
        assert f"--{name.replace('_', '-')} " in text
        assert declared(EditSettings)[name].help in text
    assert settings_of(parser.parse_args(["--preset", "demo"])) == preset("demo")
    given = settings_of(parser.parse_args(["--guide-every", "2", "--memory", "low"]))
    assert (given.guide_every, given.memory) == (2, "low")
    assert given.candidates == preset("diffface").candidates


@pytest.mark.parametrize(
    ("flags", "goal"),
    [
        ([], GazeGoal()),
        (["--gaze", "at-camera"], GazeGoal("at-camera")),
        (["--gaze-pitch", "-5", "--gaze-yaw", "10"], GazeGoal("set", -5.0, 10.0)),
        (["--gaze", "set-each", "--gaze-right-yaw", "3"], GazeGoal("set-each", right_yaw=3.0)),
    ],
)
def test_the_gaze_is_kept_or_set(parser, flags, goal):
    """Angles alone set both eyes."""
    add_settings(parser)
    text = "".join(parser.format_help().split())  # which breaks lines at hyphens too
    for name, flag in GOAL.items():
        assert f"--{flag.replace('_', '-')}" in text
        assert declared(GazeGoal)[name].help.replace(" ", "") in text
    assert settings_of(parser.parse_args(flags)).gaze_goal == goal
