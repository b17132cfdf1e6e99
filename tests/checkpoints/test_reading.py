"""Honest files of every container give the tensors that were saved, whoever saved them."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from guided_face_edit.editor_core.checkpoints.errors import DamagedCheckpoint, MissingModel
from guided_face_edit.editor_core.checkpoints.reading import (
    read_checkpoint,
    read_metadata,
    read_outline,
)
from guided_face_edit.tests.support.containers import SAVERS, assert_same_tensors


@pytest.fixture
def weights(generator):
    """Tensors of all sorts."""
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(4, generator=generator).half(),
        "norm.weight": torch.randn(5, generator=generator).bfloat16(),
        "norm.double": torch.randn(2, 2, generator=generator).double(),
        "norm.num_batches_tracked": torch.tensor(7),
        "mask": torch.tensor([True, False, True]),
        "levels": torch.arange(6, dtype=torch.uint8).reshape(2, 3),
        "tiny": torch.randn(3, generator=generator).to(torch.float8_e5m2),
        "nothing": torch.empty(0, 3),
    }


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_what_was_saved_is_read_whatever_its_name(tmp_path, weights, save, name):
    save(weights, tmp_path / name)
    got = read_checkpoint(tmp_path / name).tensors
    assert_same_tensors(dict(sorted(got.items())), dict(sorted(weights.items())))
    assert not any(tensor.requires_grad for tensor in got.values())


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
def test_an_outline_has_names_shapes_and_types_alone(tmp_path, weights, save):
    save(weights, tmp_path / "m")
    whole, outline = read_checkpoint(tmp_path / "m"), read_outline(tmp_path / "m")
    assert {t.device.type for t in outline.tensors.values()} == {"meta"}
    assert list(outline.tensors) == list(whole.tensors)
    for name, meta in outline.tensors.items():
        values = whole.tensors[name]
        assert (meta.shape, meta.stride()) == (values.shape, values.stride())
        assert meta.dtype == values.dtype


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
def test_tensors_are_ordinary_in_inference_mode_and_their_own(tmp_path, weights, save):
    save(weights, tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with torch.inference_mode():
        got = read_checkpoint(tmp_path / "m").tensors
    assert not any(tensor.is_inference() for tensor in got.values())
    got["conv.weight"].requires_grad_().square().sum().backward()
    got["norm.double"].zero_()
    assert (tmp_path / "m").read_bytes() == before


@pytest.mark.parametrize("name", ["m", "m.safetensors"])
def test_metadata_is_that_of_the_file_overridden_by_the_sidecar(tmp_path, name):
    header = {"kind": "gaze", "licence": "MIT", "config": '{"size": 3}'}
    save_file({"a": torch.ones(1)}, tmp_path / name, header)
    assert read_metadata(tmp_path / name) == {**header, "config": {"size": 3}}
    (tmp_path / f"{name}.json").write_text('{"kind": "parser", "config": {"size": 4}}')
    expected = {"kind": "parser", "licence": "MIT", "config": {"size": 4}}
    assert read_checkpoint(tmp_path / name).metadata == expected
    assert read_outline(tmp_path / name).config == {"size": 4}


@pytest.mark.parametrize("content", [b"", b"P", b"\x80", b"{}", pickle.dumps({"a": 1})])
def test_other_files_are_damaged_and_have_no_metadata(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    assert read_metadata(tmp_path / "m") == {"config": {}}
    with pytest.raises(DamagedCheckpoint, match="fetch the file again"):
        read_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("read", [read_checkpoint, read_outline])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(MissingModel, match=r"no model file .*m\.pt: put it there"):
        read(tmp_path / "m.pt")
