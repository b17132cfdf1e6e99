"""The nodes that inspect and convert model files."""

import re
from pathlib import Path

import pytest
import torch

from guided_face_edit.editor_core.models.eyenet import EyeNet
from guided_face_edit.editor_core.models.sface import SFace
from guided_face_edit.tests.support.families import SMALL_SFACE, randomised
from guided_face_edit.tests.support.onnx_export import export
from guided_face_edit.tests.support.running import BY_NAME, run
from guided_face_edit.tests.support.tiny import TINY_EYENET


@pytest.fixture
def eyes_file(folders):
    """A pickle among the gaze models, named as ComfyUI lists it."""
    folder = Path(folders.models_dir, "face_edit", "gaze")
    network = EyeNet(TINY_EYENET)
    torch.save(network.state_dict(), folder / "eyes.pt")
    yield folder / "eyes.pt"
    for file in folder.glob("eyes.*"):
        file.unlink()


def test_a_model_file_is_described(eyes_file):
    (choice,) = BY_NAME["InspectModelFile"].GET_SCHEMA().inputs
    assert {"gaze/eyes.pt", "gaze/demo.safetensors", "parsing/demo.safetensors"} <= {
        *choice.options
    }
    (report,) = run("InspectModelFile", model_file="gaze/eyes.pt")
    assert re.search("family +EyeNet\n +kind +gaze\n", report)
    assert "no gaze model x.pt in models/face_edit/gaze" in BY_NAME[
        "InspectModelFile"
    ].validate_inputs(model_file="gaze/x.pt")
    with pytest.raises(ValueError, match='folder is "ears", expected one of: diffusion'):
        run("InspectModelFile", model_file="ears/x.pt")


def test_a_model_file_is_converted_into_the_folder_of_its_kind(folders, eyes_file):
    inputs = {"model_file": "gaze/eyes.pt", "save_as": "", "half": True, "overwrite": False}
    (report,) = run("ConvertModelFile", **inputs)
    written = eyes_file.with_suffix(".safetensors")
    assert str(written) in report and written.stat().st_size < eyes_file.stat().st_size
    assert "eyes.safetensors" in folders.get_filename_list("face_edit_gaze")
    (managed,) = run("LoadGazeModel", model_name="eyes.safetensors")
    assert managed.model.network.config.nfeatures == 4
    with pytest.raises(FileExistsError, match="is there already: name another, or overwrite it"):
        run("ConvertModelFile", **inputs)
    run("ConvertModelFile", **inputs | {"overwrite": True})
    with pytest.raises(ValueError, match=r'"\.\./x\.safetensors" leads out of .*gaze'):
        run("ConvertModelFile", **inputs | {"save_as": "../x.safetensors"})


def test_an_onnx_file_is_loaded_and_converted(folders, pair):
    folder = Path(folders.models_dir, "face_edit", "identity")
    (folder / "net.onnx").write_bytes(export(randomised(SFace(SMALL_SFACE))))
    assert "net.onnx" in folders.get_filename_list("face_edit_identity")
    convert = {"model_file": "identity/net.onnx", "save_as": "", "half": False, "overwrite": False}
    assert "SFace, identity" in run("ConvertModelFile", **convert)[0]
    embeddings = []
    for name in ("net.onnx", "net.safetensors"):
        (model,) = run("LoadIdentityModel", model_name=name)
        embeddings += run("EmbedIdentity", image=pair[0], identity_model=model)[:1]
        (folder / name).unlink()
    torch.testing.assert_close(*embeddings, rtol=0, atol=1e-6)
