"""Model files are found alone, and in folders as diffusers and transformers lay them out."""

import json
import shutil

import pytest
from safetensors.torch import save_file

from guided_face_edit.editor_core.checkpoints.errors import MissingModel, UnsupportedCheckpoint
from guided_face_edit.editor_core.face.parsing import LABELS, SEGFORMER_CLASSES, FacePart
from guided_face_edit.editor_core.loading.convert import convert
from guided_face_edit.editor_core.loading.folders import find_weights, model_files
from guided_face_edit.editor_core.loading.inspection import inspect
from guided_face_edit.editor_core.loading.models import load_parser
from guided_face_edit.editor_core.models.segformer import SegFormer
from guided_face_edit.tests.support.families import SMALL_SEGFORMER, randomised


def _touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_weights_are_a_file_itself_or_those_of_a_diffusers_folder(tmp_path):
    file = _touch(tmp_path / "m.pt")
    assert find_weights(file) == file
    pickled = _touch(tmp_path / "ddpm" / "unet" / "diffusion_pytorch_model.bin")
    assert find_weights(tmp_path / "ddpm") == pickled
    beside = _touch(tmp_path / "ddpm" / "diffusion_pytorch_model.safetensors")
    assert find_weights(tmp_path / "ddpm") == beside


def test_a_folder_without_a_model_says_what_belongs_there(tmp_path):
    with pytest.raises(MissingModel, match="expected diffusion_pytorch_model.safetensors or"):
        find_weights(tmp_path)


def test_a_missing_file_says_where_it_comes_from(tmp_path):
    with pytest.raises(MissingModel, match=r"no model file .*Model\.pt: put it there \(Model\.pt"):
        find_weights(tmp_path / "Model.pt")


def test_the_models_of_a_folder_are_all_in_it_and_below(tmp_path):
    files = [_touch(tmp_path / name) for name in ("a.pt", "b.safetensors", "gaze/c.pkl")]
    _touch(tmp_path / "notes.txt")
    assert model_files(tmp_path) == files
    assert model_files(files[0]) == [files[0]]
    _touch(tmp_path / "diffusion_pytorch_model.bin")
    assert model_files(tmp_path) == [tmp_path]


def _segformer(folder, labels=None, **changes):
    """A folder as transformers publishes a SegFormer."""
    network = randomised(SegFormer(SMALL_SEGFORMER))
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    names = {part: name for name, part in LABELS.items()}
    labels = labels or [names[part] for part in SEGFORMER_CLASSES]
    config = {
        "model_type": "segformer",
        "num_attention_heads": [1, 2, 2, 3],
        "id2label": {str(index): label for index, label in reversed([*enumerate(labels)])},
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_a_folder_of_transformers_is_a_model(tmp_path):
    folder = _segformer(tmp_path / "face-parsing")
    assert find_weights(folder) == folder / "model.safetensors"
    assert model_files(folder) == [folder]
    with pytest.warns(UserWarning, match="not the published face-parsing/model.safetensors"):
        parser = load_parser(folder)
    assert (parser.size, parser.classes) == (512, SEGFORMER_CLASSES)
    (folder / "config.json").unlink()
    with pytest.raises(MissingModel, match=r"or model\.safetensors or pytorch_model\.bin; put"):
        find_weights(folder)


def test_a_segformer_says_itself_what_its_classes_are(tmp_path):
    labels = [part.name.lower() for part in reversed(FacePart)]
    folder = _segformer(tmp_path / "mine", labels)
    assert load_parser(folder).classes == tuple(reversed(FacePart))
    report = inspect(folder)
    assert (report.family, report.kind) == ("SegFormer", "parser")
    convert(report, tmp_path / "alone.safetensors")
    alone = load_parser(tmp_path / "alone.safetensors")
    assert alone.classes == tuple(reversed(FacePart))
    (tmp_path / "bare").mkdir()
    shutil.copy(folder / "model.safetensors", tmp_path / "bare")
    assert load_parser(tmp_path / "bare" / "model.safetensors").classes == SEGFORMER_CLASSES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "road", "1": "sidewalk"}}, 'its class "road" is no part of a face'),
        ({"id2label": {"0": "skin", "1": "skin"}}, "expected each part of CelebAMask-HQ once"),
        ({"num_attention_heads": [1, 1, 1, 1]}, "heads of attention: expected"),
    ],
)
def test_a_segformer_of_other_things_is_refused(tmp_path, changes, message):
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_parser(_segformer(tmp_path / "mine", **changes))
