"""Choosing faces by order and number, by a mask, and by likeness."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.groups import draw_references
from guided_face_edit.editor_core.demo.models import demo_file
from guided_face_edit.editor_core.face.choosing import (
    ORDERS,
    FaceChoice,
    choose_by_likeness,
    choose_by_mask,
    choose_by_number,
    numbers_in,
)
from guided_face_edit.editor_core.face.identity import embed_identity
from guided_face_edit.editor_core.face.locate import embed_faces
from guided_face_edit.editor_core.face.tracking import track_faces
from guided_face_edit.editor_core.images import to_signed
from guided_face_edit.editor_core.loading.models import load_identity
from guided_face_edit.tests.support.groups import PHOTO, aligned, boxed, group_photo


def test_faces_are_ordered_as_asked_for():
    faces = boxed([[0, 50, 10, 60], [20, 0, 60, 40], [100, 20, 120, 40]])
    faces = replace(faces, score=torch.tensor([0.7, 0.6, 0.9]))
    first = {
        order: choose_by_number(faces, FaceChoice(order, "0")).box[0, 0].item() for order in ORDERS
    }
    assert first == {
        "left to right": 0,
        "top to bottom": 20,
        "largest first": 20,
        "smallest first": 0,
        "surest first": 100,
    }
    assert len(choose_by_number(faces, FaceChoice(numbers="0, 2, 7"))) == 2
    assert len(choose_by_number(faces, FaceChoice("largest first"))) == 3
    with pytest.raises(ValueError, match='order is "best", expected "left to right" or "top to'):
        FaceChoice("best")


def test_numbers_count_in_each_frame_and_people_in_all():
    """Somebody who is missing in one frame moves nobody else up, once people are known."""
    boxes = [[0, 0, 20, 20], [50, 0, 70, 20], [50, 0, 70, 20]]
    faces = boxed(boxes, [0, 0, 1])
    assert choose_by_number(faces, FaceChoice(numbers="0")).box[:, 0].tolist() == [0, 50]
    tracked = track_faces(faces)
    assert choose_by_number(tracked, FaceChoice(numbers="1")).frame.tolist() == [0, 1]
    assert choose_by_number(tracked, FaceChoice(numbers="0")).frame.tolist() == [0]


def test_numbers_are_read():
    assert numbers_in(" 0, 2 5") == [0, 2, 5] and numbers_in(" ") is None
    with pytest.raises(ValueError, match='faces are "first", expected numbers from 0 on'):
        numbers_in("first")


def test_the_face_under_a_mask_is_chosen():
    photos = group_photo()
    mask = torch.zeros(1, *PHOTO)
    x0, y0, x1, y1 = photos.faces.box[3].long().tolist()
    mask[:, y0:y1, x0:x1] = 1
    assert torch.equal(choose_by_mask(photos.faces, mask).box, photos.faces.box[[3]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_person_of_a_reference_is_found_among_five(seed):
    photos = group_photo(seed)
    encoder = load_identity(demo_file("identity"))
    faces = aligned(photos)
    faces = embed_faces(faces, photos.image, encoder)
    for known in (0, 2, 4):
        portrait = to_signed(draw_references(seed, 5, [known]))
        chosen = choose_by_likeness(faces, embed_identity(encoder, portrait), max_distance=2.0)
        assert torch.equal(chosen.box, photos.faces.box[[known]])


def test_nobody_is_chosen_who_is_not_alike_enough():
    photos = group_photo()
    encoder = load_identity(demo_file("identity"))
    faces = aligned(photos)
    faces = embed_faces(faces, photos.image, encoder)
    reference = embed_identity(encoder, to_signed(draw_references(0, 5, [1])))
    assert len(choose_by_likeness(faces, reference, max_distance=0.01)) == 0
    with pytest.raises(ValueError, match="the faces have no embeddings, expected some to compare"):
        choose_by_likeness(photos.faces, reference)
