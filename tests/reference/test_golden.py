"""Parity with the reference: every file of a golden directory, as its manifest describes it.

The directory comes from GOLDEN_DIR; anything of the same form is checked without touching this.
Of the repository's own directory the default suite leaves out what takes long, and of the steps'
guidance it keeps one case: `python -m pytest -m golden` has all of it, as `.ci/run` does.
"""

import os
from pathlib import Path

import pytest

from guided_face_edit.tests.support.parity.augment import check_augment
from guided_face_edit.tests.support.parity.guidance import check_cond_fn, check_eye_boxes
from guided_face_edit.tests.support.parity.networks import check_nets, check_unet, is_slow
from guided_face_edit.tests.support.parity.pictures import check_picture
from guided_face_edit.tests.support.parity.process import check_gaussian, check_schedules
from guided_face_edit.tests.support.parity.scene import read_notes, read_tensors
from guided_face_edit.tests.support.parity.trajectories import check_trajectory

GIVEN = os.environ.get("GOLDEN_DIR")
FOLDER = Path(GIVEN or Path(__file__).parents[1] / "golden").resolve()
STEPS = "cond_fn.safetensors"
LONG = (STEPS, "traj", "e2e")
CHECKS = {  # by the beginning of a file's name
    "schedules": check_schedules,
    "gaussian": check_gaussian,
    "unet": check_unet,
    "nets": check_nets,
    "augment": check_augment,
    "eye_boxes": check_eye_boxes,
    "cond_fn": check_cond_fn,
    "traj": check_trajectory,
    "e2e": check_picture,
}


def _files():
    manifest = read_notes(FOLDER)
    for name in manifest["files"]:
        marks = [pytest.mark.slow] if is_slow(manifest, name) else []
        if name.startswith(LONG) and not GIVEN:
            marks.append(pytest.mark.golden)
        yield pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", list(_files()))
def test_golden(name):
    manifest = read_notes(FOLDER)
    check = next(check for start, check in CHECKS.items() if name.startswith(start))
    entry = manifest["files"][name]
    tensors = read_tensors(FOLDER / name)
    check(manifest, name, entry["notes"], tensors, entry["tensors"], FOLDER)


@pytest.mark.skipif(bool(GIVEN), reason="test_golden checks every case of that directory")
def test_a_step_of_all_terms():
    """The first case, in which every term is active, without those of its terms alone."""
    manifest = read_notes(FOLDER)
    entry = manifest["files"][STEPS]
    notes = {**entry["notes"], "cases": entry["notes"]["cases"][:1]}
    tensors = {k: v for k, v in read_tensors(FOLDER / STEPS).items() if "/grad_" not in k}
    assert notes["cases"][0]["gaze_active"]
    check_cond_fn(manifest, STEPS, notes, tensors, entry["tensors"], FOLDER)
