"""The measure of real faces, on drawn ones: its rows, its table, and that a run goes on."""

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.demo.models import load_demo_models
from guided_face_edit.editor_core.demo.pairs import draw_pairs
from guided_face_edit.editor_core.images import blur, read_image, resize, signed, write_png
from guided_face_edit.editor_core.loading.models import load_landmarks
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.tools import ROOT, run
from guided_face_edit.tools.evaluate.networks import load_judge
from guided_face_edit.tools.measures import TERM_METRICS
from guided_face_edit.tools.real_faces.command import evaluate_faces, ways_of
from guided_face_edit.tools.real_faces.crops import FaceCrops
from guided_face_edit.tools.real_faces.judges import DlibJudge, IrisJudge
from guided_face_edit.tools.real_faces.measuring import Judged, Measure, RealMeasures, detail
from guided_face_edit.tools.real_faces.rows import RowFile, measures_of
from guided_face_edit.tools.real_faces.tables import ALL, NONE, edit_quality, table, without

SETTINGS = replace(preset("demo"), respacing="1", skip=0, views=1, gradient="estimate")
RUN = {"settings": "quick"}


@dataclass(frozen=True)
class DrawnJudge:
    """The drawn world's judge, which guides nothing there."""

    network = load_judge()

    def embed(self, pictures):
        with torch.no_grad():
            return self.network.embed(signed(pictures))


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    for k, picture in enumerate(draw_pairs(5, 0, 64).source.image):
        write_png(folder / f"{k}.png", picture)
    return FaceCrops.read(folder, 64)


@pytest.fixture(scope="module")
def measure(crops):
    models = load_demo_models()
    return Measure(models, models.lpips, crops, Judged.of(DrawnJudge(), crops))


@pytest.fixture(scope="module")
def evaluated(measure, crops, tmp_path_factory):
    """A whole run at once, with a term on and off."""
    folder = tmp_path_factory.mktemp("run")
    ways = {way: ways_of(SETTINGS, True, False)[way] for way in (ALL, without("identity"))}
    evaluate_faces(measure, crops.pairs(2, 0), ways, RUN, folder)
    return folder


def _rows(folder):
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()[1:]]


def test_a_run_writes_a_table_rows_edits_and_a_sheet(evaluated, crops):
    summary = json.loads((evaluated / "evaluation.json").read_text())
    names = [figure["name"] for figure in summary["figures"]]
    assert summary["pairs"] == 2 and summary["settings"] == "quick"
    assert "identity term, on - off: identity distance, by the judge" in names
    assert len(_rows(evaluated)) == 4
    edit = read_image(evaluated / "every_term" / f"{crops.pairs(1, 0)[0].name}.png")
    assert edit.shape == (1, 64, 64, 3)
    assert read_image(evaluated / "sheet.png").shape[2] > 4 * 192


def test_a_run_goes_on_where_it_was_ended(evaluated, measure, crops, tmp_path):
    pairs, path = crops.pairs(2, 0), tmp_path / "rows.jsonl"
    evaluate_faces(measure, pairs[:1], {ALL: SETTINGS}, RUN, tmp_path)
    (first,) = _rows(tmp_path)
    path.write_text(path.read_text() + '{"way": "every term", "pa')  # ended while it wrote
    evaluate_faces(measure, pairs, {ALL: SETTINGS}, RUN, tmp_path)
    rows = _rows(tmp_path)
    assert rows[0] == first and [row["pair"] for row in rows] == [pair.name for pair in pairs]
    for row, at_once in zip(rows, _rows(evaluated)[:2], strict=True):  # both in one batch
        assert all(row[name] == pytest.approx(at_once[name], abs=1e-4) for name in row)


def test_rows_of_another_run_are_refused(evaluated):
    with pytest.raises(ValueError, match="is of another run, .* choose another folder"):
        RowFile(evaluated / "rows.jsonl", {"settings": "slow"})


def test_interrupting_keeps_what_is_done(measure, crops, tmp_path):
    @dataclass(frozen=True)
    class Once:
        """Measures one batch; then the user has enough."""

        measure: Measure
        crops: FaceCrops

        def __call__(self, pairs, numbers, *given):
            if numbers[0]:
                raise KeyboardInterrupt
            return self.measure(pairs, numbers, *given)

    with pytest.raises(KeyboardInterrupt):
        evaluate_faces(
            Once(measure, crops), crops.pairs(2, 0), {ALL: SETTINGS}, RUN, tmp_path, at_once=1
        )
    assert [row["pair"] for row in _rows(tmp_path)] == [crops.pairs(1, 0)[0].name]


def test_pairs_follow_from_the_seed_and_are_of_different_people(crops):
    pairs = crops.pairs(5, 3)
    assert pairs == crops.pairs(5, 3) != crops.pairs(5, 4)
    assert crops.pairs(2, 3) == pairs[:2]
    assert all(pair.source != pair.target for pair in pairs)
    assert len({pair.source for pair in pairs}) == 5
    with pytest.raises(ValueError, match="6 pairs of 5 crops: expected 1 to 5"):
        crops.pairs(6, 3)


def test_a_crop_is_its_own_nearest_and_strangers_are_none(measure, crops):
    own = torch.arange(5)
    seen = measure.judge.compare(crops.pictures, own, own.roll(1))
    assert torch.equal(seen["rank"], torch.zeros(5, dtype=torch.int64))
    assert seen["judge"].tolist() == pytest.approx([1.0] * 5, abs=1e-5)
    assert seen["judge_target"].max() < 0.9
    assert torch.equal(seen["judge_before"], seen["judge_before"].clamp(-1, 1))


def test_detail_falls_with_a_blur_and_knows_nothing_of_the_outside(crops):
    pictures, mask = crops.pictures, torch.zeros(5, 64, 64)
    mask[:, 20:50, 16:48] = 1
    soft = detail(blur(pictures, 2.0), mask) / detail(pictures, mask)
    assert soft.max() < 0.7
    inside = mask[:, None] * pictures
    assert torch.allclose(detail(inside, mask), detail(pictures, mask))


def _measures(**values):
    columns = {name: torch.zeros(4) for name in RealMeasures.__dataclass_fields__}
    columns |= {"intersection": torch.ones(4, 9), "union": torch.ones(4, 9)}
    columns |= {"gaze_error": torch.full((4,), torch.nan)}
    return RealMeasures(**{**columns, "background_kept": torch.ones(4).bool(), **values})


def test_the_table_counts_what_it_says():
    near = torch.tensor([0.9, 0.5, 0.5, 0.1])
    rows = edit_quality(_measures(judge=near, judge_target=1 - near))
    figures = {each.name: each for each in rows}
    assert figures["cosine to the source, by the judge"].value == pytest.approx(0.5)
    assert figures["cosine to the source, by the judge"].reached
    assert figures["nearer to the source than to the target"].value == pytest.approx(0.25)
    assert figures["sharpness inside the mask, share of the target's"].reached is False


def test_each_term_is_left_out_once_and_all_of_them_once():
    ways = ways_of(SETTINGS, ablate=True, limits=True)
    scales = {
        way: [term for term in TERM_METRICS if getattr(settings, term).scale]
        for way, settings in ways.items()
    }
    every = scales.pop(ALL)
    assert scales.pop(NONE) == []
    assert scales == {without(term): [x for x in every if x != term] for term in every}
    assert ways_of(SETTINGS, ablate=False, limits=False) == {ALL: SETTINGS}


def test_the_limits_are_of_the_target_itself():
    alike = torch.tensor([0.5, 0.7, 0.7, 0.9])
    rows = table({ALL: _measures(), NONE: _measures(judge_target=alike, sharpness=alike)})
    values = {each.name: each.value for each in rows}
    assert values["no term: cosine to the target, by the judge"] == pytest.approx(0.7)
    assert values["no term: sharpness, share of the target's"] == pytest.approx(0.7)


def test_a_gaze_that_nobody_measured_has_no_row():
    some = torch.tensor([2.0, torch.nan, 4.0, torch.nan])
    blind, seeing = _measures(), _measures(gaze_error=some)

    def names(measures):
        return [each.name for each in table({ALL: measures, without("gaze"): blind})]

    assert not [name for name in names(blind) if "gaze" in name]
    (row,) = (each for each in edit_quality(seeing) if "gaze" in each.name)
    assert row.value == 3


def test_rows_are_measures_again(tmp_path):
    measured = _measures(gaze_error=torch.tensor([1.0, torch.nan, 2.0, 3.0]))
    file = RowFile(tmp_path / "rows.jsonl", RUN)
    file.append(ALL, ["a", "b", "c", "d"], measured)
    again = measures_of(list(RowFile(file.path, RUN).of_way(ALL).values()))
    for name, column in measured.columns().items():
        assert torch.equal(getattr(again, name).nan_to_num(-1), column.nan_to_num(-1)), name


def test_pictures_of_people_stay_out_of_the_repository(capsys):
    arguments = ["crops", "--models", "models", "--out", str(ROOT / "docs" / "people")]
    assert run("real_faces", arguments) == 2
    assert "lies inside the repository: name a folder outside" in capsys.readouterr().err
    assert not Path(arguments[-1]).exists()


@pytest.fixture(scope="module")
def astronaut():
    """Eileen Collins, by NASA: in the public domain, and in the wheel of scikit-image."""
    data = pytest.importorskip("skimage.data")
    photo = torch.from_numpy(data.astronaut()).float().movedim(-1, 0) / 255
    return photo[None, :, 20:220, 124:324]


def test_dlib_knows_a_person_and_tells_others(astronaut, crops):
    pytest.importorskip("dlib")
    judge = DlibJudge.from_wheels()
    same, mirrored, other = judge.embed(
        torch.cat([astronaut, astronaut.flip(3), resize(crops.pictures[:1], 200)])
    )
    assert (same - mirrored).norm() < 0.6 < (same - other).norm()  # dlib's own threshold


@pytest.mark.slow
def test_irises_tell_a_gaze_and_its_mirror_image(astronaut):
    wheel = importlib.util.find_spec("mediapipe")
    if wheel is None:
        pytest.skip("the wheel mediapipe, which brings a landmarker, is not installed")
    folder = Path(wheel.origin).parent / "modules" / "face_landmark"
    judge = IrisJudge(load_landmarks(folder / "face_landmark_with_attention.tflite"))
    (pitch, yaw), (same, mirrored) = judge.gaze(torch.cat([astronaut, astronaut.flip(3)])).tolist()
    assert pitch == pytest.approx(same, abs=3) and yaw == pytest.approx(-mirrored, abs=3)
