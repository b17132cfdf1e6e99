"""Find, align, embed and choose: the service that the command line, batches and nodes share."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.face.aligning import crop_faces, quads
from guided_face_edit.editor_core.face.choosing import FaceChoice
from guided_face_edit.editor_core.face.finding import five_points_of
from guided_face_edit.editor_core.face.identity import embed_identity
from guided_face_edit.editor_core.face.landmarks import FaceLandmarker
from guided_face_edit.editor_core.face.locate import choose_faces, embed_faces, locate_faces
from guided_face_edit.editor_core.images import to_unit
from guided_face_edit.tests.support.groups import aligned, group_photo
from guided_face_edit.tests.support.mesh import SpotMesh, head_points, spot_picture
from guided_face_edit.tests.support.tiny import tiny_encoder


class Detector:
    """Finds these faces in whatever photo."""

    def __init__(self, faces):
        self.faces = faces

    def find(self, photos):
        return self.faces


def test_faces_are_given_or_detected_or_the_picture_itself():
    photos = group_photo()
    detector = Detector(photos.faces)
    found = locate_faces(photos.image, "demo", 64, detector=detector)
    assert torch.equal(found.affine, aligned(photos).affine)
    given = locate_faces(photos.image, "demo", 64, detector=detector, at="20 30 90 110")
    assert given.box.tolist() == [[20, 30, 90, 110]]
    whole = locate_faces(torch.rand(1, 40, 40, 3), "demo", 64)
    assert quads(whole).tolist() == [[[0, 0], [40, 0], [40, 40], [0, 40]]]


def test_a_landmarker_finds_the_points_of_a_rough_face_again():
    head = head_points() * 6 + torch.tensor([110.0, 95, 0])
    photo = to_unit(spot_picture(head, (200, 240), 6))
    landmarker = FaceLandmarker(SpotMesh().requires_grad_(False))
    found = locate_faces(photo, "ffhq", 64, at="60 50 165 155", landmarker=landmarker)
    assert (found.points[0] - five_points_of(head[None, :, :2])[0]).abs().max() < 1
    whole = locate_faces(photo[:, :, :200], "ffhq", 64, landmarker=landmarker)
    assert whole.landmarks is None


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ([], "no face found in a.png: say where"),
        (None, "a.png is 270x480, expected a square crop of an aligned face: say where"),
    ],
)
def test_a_picture_without_faces_is_named(faces, message):
    photos = group_photo()
    detector = None if faces is None else Detector(photos.faces.rows(faces))
    with pytest.raises(ValueError, match=message):
        locate_faces(photos.image, "demo", 64, detector=detector, name="a.png", hint="say where")


def test_faces_are_embedded_once_and_at_the_encoders_template():
    photos, encoder = group_photo(), replace(tiny_encoder(), template="demo")
    embedded = embed_faces(photos.faces, photos.image, encoder)
    assert embedded.embedding.shape == (5, 24) and embedded.affine is None
    crops = crop_faces(photos.image, aligned(photos, size=encoder.size)).image
    expected = torch.cat([embed_identity(encoder, crop[None].double()) for crop in crops]).float()
    assert torch.equal(embedded.embedding, expected)
    of_aligned = embed_faces(aligned(photos, size=200), photos.image, encoder)
    assert torch.equal(of_aligned.embedding, embedded.embedding)
    elsewhere = embed_faces(photos.faces, photos.image, encoder, "arcface")
    assert not torch.allclose(elsewhere.embedding, embedded.embedding, atol=1e-3)
    assert embed_faces(embedded, None, None) is embedded
    none = embed_faces(photos.faces.rows([]), photos.image, encoder, "demo")
    assert len(none.embedding) == 0
    with pytest.raises(ValueError, match="to compare faces give their image and an identity_model"):
        embed_faces(photos.faces, photos.image, None)


def test_the_mask_chooses_before_the_reference_and_the_numbers_last():
    faces = group_photo().faces
    faces = replace(faces, embedding=torch.eye(5))
    mask = torch.zeros(1, *faces.size)
    mask[:, :, : int(faces.centre[3, 0])] = 1  # without the last two
    wanted = torch.eye(5)[[0, 2, 4]]
    chosen = choose_faces(faces, FaceChoice(numbers="1"), mask=mask, reference=wanted)
    assert torch.equal(chosen.box, faces.box[[2]])
    assert len(choose_faces(faces, FaceChoice())) == 5
    assert len(choose_faces(faces, FaceChoice(max_distance=2.0), reference=-wanted[:1])) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"order": "best"}, 'order is "best", expected "left to right" or "top to bottom"'),
        ({"max_distance": -1}, "max_distance is -1: expected 0 or more"),
    ],
)
def test_choices_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        FaceChoice(**values)
