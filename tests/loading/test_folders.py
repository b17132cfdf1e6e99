"""Model files are found by themselves, and in folders as diffusers lays them out."""

import pytest

from guided_face_edit.editor_core.checkpoints.errors import MissingModel
from guided_face_edit.editor_core.loading.folders import find_weights, model_files


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
