"""The measure of finding faces: known turns, its tables, and a run over one photograph."""

import pytest
import torch

from guided_face_edit.editor_core.face.detecting import lean
from guided_face_edit.editor_core.face.resampling import transform
from guided_face_edit.editor_core.images import from_picture, read_image, to_picture, write_png
from guided_face_edit.tests.support import shipped
from guided_face_edit.tools import run
from guided_face_edit.tools.finding.pictures import faceless_files, photo_files, some_of, turned
from guided_face_edit.tools.finding.tables import lean_table, score_table
from guided_face_edit.tools.finding.turning import POINT_FINDERS, TurnedFace, highest


def _cells(table, row):
    """What stands in a row of a table, by its head."""
    head, _, *rows = ([x.strip() for x in line.split("|")[1:-1]] for line in table.splitlines())
    return dict(zip(head, rows[row], strict=True))


@pytest.mark.parametrize("degrees", [0, 30, -75])
def test_a_photo_turns_clockwise_and_its_points_with_it(degrees):
    photo = torch.zeros(1, 40, 60, 3)
    eyes = torch.tensor([[[15.0, 20.0], [45.0, 20.0]]])
    photo[:, 18:22, 13:17, 0] = photo[:, 18:22, 43:47, 1] = 1
    square, affine = turned(photo, degrees)
    there = transform(affine, eyes)
    assert lean(there).item() == pytest.approx(degrees, abs=1e-4)
    for channel, (x, y) in enumerate(there[0].tolist()):
        assert square[0, int(y), int(x), channel] > 0.9
    assert square.shape == (1, 73, 73, 3) and torch.allclose(square[0, 0, 0], torch.tensor(0.5))


def _turned_face(degrees, error):
    return TurnedFace(degrees, {} if error is None else dict.fromkeys(POINT_FINDERS, error))


def test_the_lean_table_counts_what_it_says():
    first = [_turned_face(40, -6.0), _turned_face(-40, 2.0), _turned_face(0, 1.0)]
    second = [_turned_face(40, 0.0), _turned_face(-40, None), _turned_face(0, -1.0)]
    table = lean_table([first, second, []])
    upright, leaning = _cells(table, 0), _cells(table, 1)
    assert (upright["turned by"], upright["found"]) == ("0°", "1.00")
    assert upright["as shipped"] == "1.0 [1.0, 1.0], +0.0"
    assert (leaning["turned by"], leaning["found"]) == ("40°", "0.75")
    assert leaning["as shipped"] == "2.0 [0.0, 4.0], -2.0"  # means of a picture's 4.0 and 0.0


def test_an_angle_at_which_no_face_is_found_has_no_error():
    row = _cells(lean_table([[_turned_face(90, None), _turned_face(-90, None)]]), 0)
    assert row["found"] == "0.00" and row["as shipped"] == "none found"


def test_the_score_table_counts_faces_and_others():
    faces = highest([torch.tensor([0.9, 0.6]), torch.tensor([0.72]), torch.tensor([])])
    assert faces.tolist() == pytest.approx([0.9, 0.72, 0])
    turned_scores = {0: faces, 40: faces / 2}
    table = score_table(turned_scores, torch.tensor([0.74, 0.51]))
    at = {each["min_score"]: each for each in (_cells(table, row) for row in range(9))}
    kept = {least: row["kept at 0°"][:4] for least, row in at.items()}
    assert (kept["0.7"], at["0.7"]["false finds"]) == ("0.67", "1")
    assert (kept["0.75"], at["0.75"]["false finds"]) == ("0.33", "0")
    assert at["0.5"]["kept at 40°"].startswith("0.00 [")


def test_pictures_are_taken_from_folders_within_and_evenly(tmp_path):
    for name in ("a/1.pgm", "a/2.png", "b/3.JPG", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = photo_files([tmp_path / "b", tmp_path / "a"])
    assert [each.name for each in files] == ["3.JPG", "1.pgm", "2.png"]
    assert some_of(range(10), 3) == [0, 3, 6] and some_of(range(2), 3) == [0, 1]
    assert len(faceless_files(tmp_path)) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures in .*empty, expected .png, .*another folder"):
        photo_files([tmp_path / "empty"])


def test_looks_as_shipped_are_nearer_than_none_on_a_photograph(tmp_path, capsys):
    pytest.importorskip("cv2")
    shipped.yunet()
    face = read_image(shipped.astronaut())[0, 0:256, 96:352]
    small = to_picture(face).resize((128, 128))
    folders = [tmp_path / name for name in ("faces", "others")]
    for folder, picture in zip(folders, (from_picture(small), torch.rand(64, 64, 3)), strict=True):
        folder.mkdir()
        write_png(folder / "a.png", picture)
    faces, others = map(str, folders)
    assert run("finding", [faces, "--faceless", others, "--angles", "40"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 of 1 pictures, turned; their own lean by the mean over all ways")
    leans, scores = (part for part in printed.split("\n\n") if part.startswith("| "))
    row = _cells(leans, 0)
    off = {finder: float(row[finder].split(",")[0]) for finder in POINT_FINDERS}
    assert row["found"] == "1.00" and off["as shipped"] < 5 < off["no look"]
    assert _cells(scores, 2)["kept at 40°"].startswith("1.00") and "1 without" in printed
