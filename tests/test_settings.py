"""Settings are declared once: their checks follow from there."""

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from guided_face_edit.editor_core.declare import check, declared, setting, shared
from guided_face_edit.editor_core.face.clip import TextWish
from guided_face_edit.editor_core.face.gaze import GazeGoal
from guided_face_edit.editor_core.guidance.terms import TermSettings
from guided_face_edit.editor_core.guidance.views import RandomViews
from guided_face_edit.editor_core.guidance.windows import PercentWindow
from guided_face_edit.editor_core.presets import PRESETS
from guided_face_edit.editor_core.settings import EditSettings

DECLARED = (EditSettings, TermSettings, PercentWindow, RandomViews, GazeGoal, TextWish)


@dataclass(frozen=True)
class Oven:
    """Settings of their own, to try the declarations on."""

    heat: float = setting(180.0, "Degrees; more browns more.", low=20.0, high=250.0)
    mode: str = setting("air", "How the heat comes.", choices=("air", "grill"))
    name: str = "oven"

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Kitchen:
    heat: float = shared(Oven, "heat")


def test_a_declaration_gives_default_bounds_and_help():
    assert Oven() == Oven(180.0, "air")
    assert list(declared(Oven)) == ["heat", "mode"] == list(declared(Oven()))
    heat = declared(Oven)["heat"]
    assert (heat.default, heat.low, heat.high) == (180.0, 20.0, 250.0)
    assert heat.help == "Degrees; more browns more."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heat": 10.0}, "heat is 10.0: expected 20 or more"),
        ({"mode": "steam"}, 'mode is "steam", expected "air" or "grill": choose one'),
    ],
)
def test_values_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(Oven(), **changes)


def test_a_shared_field_is_declared_at_the_other_class():
    assert Kitchen().heat == 180.0 and declared(Kitchen)["heat"] is declared(Oven)["heat"]
    assert declared(EditSettings)["views"] is declared(RandomViews)["copies"]


@pytest.mark.parametrize("settings", DECLARED)
def test_defaults_keep_their_bounds_and_every_help_is_a_sentence(settings):
    for name, declaration in declared(settings).items():
        assert declaration.default == getattr(settings(), name)
        declaration.check(name, declaration.default)
        assert declaration.help.endswith((".", ").")), name
        if declaration.low is not None and declaration.high is not None:
            assert declaration.low <= declaration.default <= declaration.high


def test_every_setting_of_an_edit_is_declared_or_of_a_term_or_the_goal_of_the_gaze():
    terms = {name for name, value in vars(EditSettings()).items() if hasattr(value, "scale")}
    goals = {"gaze_goal", "expression_goal", "wish"}
    assert terms | set(declared(EditSettings)) | goals == set(vars(EditSettings()))
    for goal in (GazeGoal, TextWish):
        assert set(declared(goal)) == set(vars(goal()))


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_data_that_cannot_change(name):
    with pytest.raises(FrozenInstanceError):
        PRESETS[name].skip = 3
    assert replace(PRESETS[name]) == PRESETS[name] and hash(PRESETS[name])
