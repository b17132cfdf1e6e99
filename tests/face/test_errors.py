"""Faults of faces are told row by row, by names where there are some; the others go on."""

import pickle

import pytest

from guided_face_edit.editor_core.face.errors import FaceError, without_faulty

NAMES = [f"face {row} of a.png" for row in range(4)]


def _refusing(*bad, what="picture"):
    """Doubles rows; refuses some of them, two at a time, counted in what it is given."""

    def run(rows):
        faults = {k: "is odd: leave it out" for k, row in enumerate(rows) if row in bad}
        if faults:
            raise FaceError(dict(list(faults.items())[:2]), what)
        return [row * 2 for row in rows]

    return run


def test_every_face_is_named_with_its_fault():
    error = FaceError({3: "is dark: light it", 1: "is small: enlarge it"}, "target")
    assert str(error) == "target 1 is small: enlarge it; target 3 is dark: light it"
    assert error.rows == [1, 3]
    assert error.named(NAMES).lines[1] == "face 3 of a.png is dark: light it"
    assert str(FaceError({0: "is dark", 1: "is dark"}, names=["a.png", "a.png"])) == "a.png is dark"


def test_it_travels_between_processes():
    error = FaceError({1: "is dark"}, "source", NAMES)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.faults, copy.what) == (str(error), error.faults, error.what)


def test_passing_through_the_others_go_on():
    result, rows, left = without_faulty(_refusing(0, 2, 3), NAMES, "pass through")
    assert (result, rows) == ([2], [1]) and left.rows == [0, 2, 3]
    assert left.lines[1] == "face 2 of a.png is odd: leave it out"
    assert without_faulty(_refusing(), NAMES, "error") == ([0, 2, 4, 6], [0, 1, 2, 3], None)


def test_without_passing_through_the_face_is_named():
    with pytest.raises(FaceError, match="^face 2 of a.png is odd: leave it out$"):
        without_faulty(_refusing(2), NAMES, "error")


def test_a_fault_of_the_source_is_never_passed_through():
    with pytest.raises(FaceError, match="source 2 is odd"):
        without_faulty(_refusing(2, what="source"), NAMES, "pass through")


def test_a_policy_that_there_is_not():
    with pytest.raises(ValueError, match='if_missing is "skip", expected one of: error, pass thr'):
        without_faulty(_refusing(), NAMES, "skip")
