"""The nodes that cut faces out of photos and paste them back."""

import pytest
import torch

from guided_face_edit.editor_core.face.pasting import PASTINGS
from guided_face_edit.tests.support.running import QUICK, draw_photo, embed, load, run

ALIGNED = {"template": "demo", "size": 64}


def test_a_drawn_photo_comes_with_its_faces_and_references(drawn):
    photo, faces, references = drawn
    assert photo.shape == (1, 216, 384, 3) and len(faces) == 3
    assert references.shape == (1, 64, 64, 3)
    *_, all_ = draw_photo(known="")
    assert len(all_) == 3
    with pytest.raises(ValueError, match=r"known are \[3\], expected some of 0 to 2"):
        draw_photo(known="3")


def test_a_photo_without_faces_passes_through_the_whole_graph(drawn):
    """Whatever the crops of no face go through, the photo comes out as it went in."""
    photo, _, reference = drawn
    passing, empty = {"image": photo, "if_missing": "pass through"}, torch.zeros(1, 216, 384)
    faces, _ = run("FacesFromLandmarks", mask=empty, **passing)
    compared = {"embedding": embed(reference), "identity_model": load("IdentityModel")}
    faces, _ = run("SelectFaces", faces=faces, template="demo", **compared, **passing)
    crops, aligned, inside = run("AlignFaces", image=photo, faces=faces, **ALIGNED)
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crops)
    (mask,) = run("FaceMask", parsing=parsing)
    eyes, *_, preview = run("CropEyes", image=photo, parsing=parsing, faces=aligned)
    models = {"identity_model": load("IdentityModel"), "parser": load("FaceParser")}
    gaze = {"gaze_model": load("GazeModel"), "eyes": eyes}
    (chain,) = run("GuidancePreset", preset="demo", **models, **gaze)
    model = load("FaceDiffusionModel")
    candidates, best, metrics = run(
        "GuidedFaceSampler",
        **{"model": model, "target": photo, "mask": mask, "guidance": chain, "faces": aligned},
        **QUICK,
    )
    assert torch.equal(best, photo) and not metrics.series
    pasted, where = run("PasteFacesBack", image=photo, faces=aligned, crops=crops)
    assert torch.equal(pasted, photo) and not where.any()


def test_crops_and_photo_go_there_and_back(drawn, aligned):
    photo, (crop, faces, inside) = drawn[0], aligned
    assert crop.shape == (3, 64, 64, 3) and inside.shape == (3, 64, 64)
    for blending in PASTINGS:
        pasting = {"feather": 2.0, "blending": blending}
        back, where = run("PasteFacesBack", image=photo, faces=faces, crops=crop, **pasting)
        assert (back - photo).abs().max() < 1e-6 and where.max() > 0.9


def test_a_parsing_says_where_to_paste(drawn, aligned):
    photo, (crop, faces, _) = drawn[0], aligned
    parsing, _ = run("ParseFace", parser=load("FaceParser"), image=crop)
    given = {"image": photo, "faces": faces, "crops": 1 - crop, "feather": 2.0}
    everywhere, wide = run("PasteFacesBack", **given)
    edited, narrow = run("PasteFacesBack", parsing=parsing, **given)
    one, mask = run("PasteFacesBack", mask=torch.ones(1, 64, 64), **given)
    assert 0 < narrow.sum() < wide.sum() < mask.sum()
    assert torch.equal(edited[narrow == 0], photo[narrow == 0])


def test_a_clip_is_tracked_and_smoothed():
    photo, faces, _ = draw_photo(people=2, frames=3)
    model = load("IdentityModel")
    (tracked,) = run("TrackFaces", faces=faces, identity_model=model, image=photo, template="demo")
    assert tracked.person.tolist() == [0, 1] * 3
    smooth = {**ALIGNED, "smoothing": 2.0}
    _, steady, _ = run("AlignFaces", image=photo, faces=tracked, **smooth)
    _, restless, _ = run("AlignFaces", image=photo, faces=tracked, **ALIGNED)
    assert not torch.equal(steady.affine, restless.affine)
    with pytest.raises(ValueError, match="only tracked faces can be smoothed over time"):
        run("AlignFaces", image=photo, faces=faces, **smooth)
