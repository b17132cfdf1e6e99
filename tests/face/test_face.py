import math

import pytest
import torch

from guided_face_edit.editor_core.face.eyes import (
    EyeBoxes,
    crop_around_eyes,
    crop_eyes,
    find_eyes_in_labels,
    find_eyes_in_landmarks,
)
from guided_face_edit.editor_core.face.gaze import (
    EyeGazeEstimator,
    Gaze,
    estimate_gaze,
)
from guided_face_edit.editor_core.face.identity import (
    average_identity,
    embed_identity,
    identity_distance,
)
from guided_face_edit.editor_core.face.painting import paint_gaze
from guided_face_edit.editor_core.face.parsing import (
    COLOURS,
    FACE_PARTS,
    PARSENET_CLASSES,
    FaceParser,
    FaceParsing,
    FacePart,
    face_mask,
    paint_parsing,
    parse_face,
    parts_named,
    require_face,
)
from guided_face_edit.editor_core.models.eyenet import EyeNetOutput
from guided_face_edit.tests.support.tiny import tiny_encoder, tiny_estimator, tiny_parser


def _parsing(labels):
    return FaceParsing(torch.nn.functional.one_hot(labels, 19).movedim(-1, 1).float())


def _face_labels(mirrored=False):
    """A 64 x 64 face with a 12 x 4 ellipse for each eye, around x 20.5 and 44.5, y 30.5."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    labels = torch.full((1, 64, 64), int(FacePart.SKIN))
    parts = (FacePart.R_EYE, FacePart.L_EYE) if mirrored else (FacePart.L_EYE, FacePart.R_EYE)
    for part, middle in zip(parts, (20.5, 44.5), strict=True):
        labels[0][((x - middle) / 6) ** 2 + ((y - 30.5) / 2) ** 2 <= 1] = part
    return labels


def test_parts_are_in_the_published_order():
    names = [part.name.lower() for part in FacePart]
    assert names[:6] == ["background", "skin", "l_brow", "r_brow", "l_eye", "r_eye"]
    assert names[10:14] == ["nose", "mouth", "u_lip", "l_lip"]
    assert [int(part) for part in FACE_PARTS] == [1, 2, 3, 4, 5, 10, 11, 12, 13]
    assert len(set(COLOURS)) == len(FacePart) == 19


def test_parser_answers_at_the_size_asked_for(generator):
    parser = tiny_parser()
    image = torch.rand(2, 3, 40, 48, generator=generator, dtype=torch.float64) * 2 - 1
    assert parser.logits(image).shape == (2, 19, 40, 48)
    assert parser.logits(image, 20).shape == (2, 19, 20, 20)
    assert torch.equal(parse_face(parser, image).logits, parser.logits(image))


def test_parser_owns_normalisation_and_resize(generator):
    class Echo:
        def logits(self, x):
            return x[:, :1].expand(-1, 19, -1, -1)

    parser = FaceParser(Echo(), 8, normalise=lambda x: x * 2, resize=lambda x, size: x + 1)
    image = torch.rand(1, 3, 8, 8, generator=generator)
    torch.testing.assert_close(
        parser.logits(image)[:, :3], ((image[:, :1] + 1) * 2 + 1).expand(-1, 3, -1, -1)
    )


def test_parser_tells_parts_whatever_its_networks_order():
    class Ramp:
        def logits(self, x):
            return torch.arange(19.0).view(1, 19, 1, 1).expand(len(x), 19, *x.shape[2:])

    parser = FaceParser(Ramp(), 8, classes=PARSENET_CLASSES)
    scores = parser.logits(torch.zeros(1, 3, 8, 8))[0, :, 0, 0]
    assert scores[FacePart.NOSE] == 2 and scores[FacePart.HAIR] == 13
    assert [scores[part] for part in PARSENET_CLASSES] == list(range(19))


def test_mask_holds_the_parts_alone():
    labels = torch.tensor([[[1, 17], [10, 0]]])
    assert _parsing(labels).mask(FacePart.SKIN, FacePart.NOSE).tolist() == [[[[1, 0], [1, 0]]]]
    assert face_mask(_parsing(labels)).tolist() == [[[[1, 0], [1, 0]]]]


def test_mask_grows_and_feathers():
    labels = torch.zeros(1, 17, 17, dtype=torch.long)
    labels[0, 8, 8] = FacePart.SKIN
    grown = face_mask(_parsing(labels), grow=2)
    assert grown.sum() == 25
    feathered = face_mask(_parsing(labels), grow=2, feather=1.5)
    assert torch.isclose(feathered.sum(), grown.sum(), rtol=1e-3)
    assert 0 < feathered[0, 0, 8, 12] < feathered[0, 0, 8, 10] < feathered[0, 0, 8, 8] <= 1


def test_a_picture_without_a_face_is_refused():
    labels = torch.stack([torch.ones(4, 4), torch.full((4, 4), 17.0)]).long()
    require_face(_parsing(labels[:1]))
    with pytest.raises(ValueError, match="source 1 shows no face, expected an aligned face crop"):
        require_face(_parsing(labels), "source")


def test_parsing_is_painted_by_part():
    picture = paint_parsing(torch.tensor([[[0, 18]]]))
    assert (picture[0, 0] * 255).round().int().tolist() == [list(COLOURS[0]), list(COLOURS[18])]


@pytest.mark.parametrize("mirrored", [False, True])
def test_eye_boxes_surround_the_labelled_eyes(mirrored):
    boxes = find_eyes_in_labels(_face_labels(mirrored))
    for box, middle in ((boxes.left[0], 21), (boxes.right[0], 45)):
        x0, y0, x1, y1 = box.tolist()
        assert x0 + x1 == 2 * middle and y0 + y1 == 2 * 31
        assert 17 <= x1 - x0 <= 20 and math.isclose((y1 - y0) / (x1 - x0), 0.6, abs_tol=0.08)


def test_a_stray_pixel_does_not_move_an_eye_box():
    labels = _face_labels()
    clean = find_eyes_in_labels(labels)
    labels[0, 60, 60] = FacePart.L_EYE
    moved = find_eyes_in_labels(labels)
    assert torch.equal(moved.left, clean.left)
    assert torch.equal(moved.right, clean.right)


def test_a_missing_eye_is_named():
    labels = torch.cat([_face_labels(), _face_labels()])
    labels[1][labels[1] == FacePart.R_EYE] = FacePart.SKIN
    with pytest.raises(ValueError, match="picture 1 shows no r_eye, expected both eyes"):
        find_eyes_in_labels(labels)


def test_landmarks_give_the_corners_their_padding():
    corners = torch.tensor([[[79.97, 110.61], [106.56, 121.6], [145.86, 115.4], [166.18, 121.49]]])
    boxes = find_eyes_in_landmarks(corners, (256, 256))
    assert boxes.left.tolist() == [[74, 107, 111, 125]]
    assert boxes.right.tolist() == [[140, 109, 171, 127]]
    points = torch.zeros(1, 68, 2)
    points[:, [36, 39, 42, 45]] = corners
    assert torch.equal(find_eyes_in_landmarks(points, (256, 256)).left, boxes.left)
    half = find_eyes_in_landmarks(corners / 2, (128, 128))
    assert (half.left * 2 - boxes.left).abs().max() <= 2


def test_landmark_boxes_stay_in_the_picture():
    corners = torch.tensor([[[-35.0, 4.0], [20.0, 4.0], [240.0, 250.0], [300.0, 252.0]]])
    boxes = find_eyes_in_landmarks(corners, (256, 256))
    assert boxes.left.tolist() == [[0, 0, 25, 13]] and boxes.right.tolist() == [
        [235, 242, 256, 256]
    ]
    with pytest.raises(ValueError, match=r"picture 0 is 256x256, its eye box .* lies outside"):
        find_eyes_in_landmarks(corners - 400, (256, 256))


@pytest.mark.parametrize("shape", [(68, 2), (1, 5, 2), (1, 68, 3)])
def test_other_landmarks_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(batch, 68, 2\)"):
        find_eyes_in_landmarks(torch.zeros(shape), (64, 64))


def test_crops_are_grey_and_squeezed():
    image = torch.full((2, 3, 32, 32), -1.0)
    image[:, 1, 4:8, 2:12] = 1
    left = torch.tensor([[2, 4, 12, 8], [12, 8, 22, 12]])
    crops = crop_eyes(image, EyeBoxes(left, left))
    assert crops.left.shape == crops.right.shape == (2, 1, 96, 160)
    torch.testing.assert_close(crops.left[0], torch.full((1, 96, 160), 1 / 3))
    assert crops.left[1].max() == 0


def _eyes_at(left, right):
    """Boxes of 12 x 8 pixels around two points x, y."""
    boxes = (torch.tensor([[x - 6, y - 4, x + 6, y + 4]]) for x, y in (left, right))
    return EyeBoxes(*boxes)


def test_a_face_is_cut_out_as_detectors_box_it():
    image = torch.full((1, 3, 100, 100), -1.0)
    image[:, :, 21:73, 29:71] = 1  # of eyes 20 pixels apart: 21 to either side, 19 up, 33 down
    face = crop_around_eyes(image, _eyes_at((40, 40), (60, 40)), 16)
    torch.testing.assert_close(face, torch.ones(1, 3, 16, 16))
    image[:, :, 21, 29:71] = -1
    image[:, :, 21:73, 70] = -1
    face = crop_around_eyes(image, _eyes_at((40, 40), (60, 40)), 64)
    assert (face[0, 0, 0] < 1).all() and (face[0, 0, :, -1] < 1).all()
    torch.testing.assert_close(face[:, :, 2:, :-2], torch.ones(1, 3, 62, 62))


def test_a_face_beyond_the_edge_is_cut_off_there():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = crop_around_eyes(image, _eyes_at((8, 30), (56, 30)), 64)
    torch.testing.assert_close(whole, image)


def test_the_face_of_other_pictures_is_refused():
    boxes = _eyes_at((20, 20), (40, 20))
    with pytest.raises(ValueError, match="found in 1 pictures, these are 2 of 64x64"):
        crop_around_eyes(torch.zeros(2, 3, 64, 64), boxes, 8)


def test_gaze_is_the_mean_of_both_eyes_and_points_right():
    def network(eyes):
        gaze = torch.tensor([[0.1, 0.2], [0.3, 0.6]])
        return EyeNetOutput(eyes, eyes, gaze)

    boxes = find_eyes_in_labels(_face_labels())
    gaze = estimate_gaze(EyeGazeEstimator(network), torch.zeros(1, 3, 64, 64), boxes)
    torch.testing.assert_close((gaze.pitch, gaze.yaw), (torch.tensor([0.2]), torch.tensor([-0.4])))


def test_gaze_rows_are_independent(generator):
    image = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1
    labels = _face_labels().repeat(2, 1, 1)
    both = estimate_gaze(tiny_estimator(), image, find_eyes_in_labels(labels))
    alone = estimate_gaze(tiny_estimator(), image[1:], find_eyes_in_labels(labels[1:]))
    torch.testing.assert_close(both.yaw[1:], alone.yaw)


def test_identity_distance_runs_from_zero_to_two(generator):
    image = torch.rand(3, 3, 40, 40, generator=generator, dtype=torch.float64) * 2 - 1
    embedding = embed_identity(tiny_encoder(), image)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert identity_distance(embedding, embedding).abs().max() < 1e-12
    torch.testing.assert_close(
        identity_distance(embedding, -embedding), torch.full((3,), 2.0, dtype=torch.float64)
    )


def test_identities_of_other_models_are_refused():
    with pytest.raises(ValueError, match="one embedding has 4 numbers, the other 5"):
        identity_distance(torch.ones(1, 4), torch.ones(1, 5))


def test_the_average_identity_lies_between_and_has_unit_length():
    mean = average_identity(torch.eye(2))
    torch.testing.assert_close(mean, torch.full((1, 2), 0.5**0.5))


def test_arrows_point_where_the_eyes_look():
    labels = _face_labels()
    image, boxes = torch.zeros(1, *labels.shape[1:], 3), find_eyes_in_labels(labels)
    zero, some = torch.zeros(1), torch.full((1,), 0.5)
    straight, right, up = (
        paint_gaze(image, boxes, gaze)[0].sum(2).nonzero().float().mean(0)
        for gaze in (Gaze(zero, zero), Gaze(zero, some), Gaze(some, zero))
    )
    assert right[1] > straight[1] + 1 and up[0] < straight[0] - 1


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("l_eye, NOSE", (FacePart.L_EYE, FacePart.NOSE)),
        ("face", FACE_PARTS),
        ("nose, face, nose", (FacePart.NOSE, *(p for p in FACE_PARTS if p != FacePart.NOSE))),
    ],
)
def test_parts_are_named(names, parts):
    assert parts_named(names) == parts


@pytest.mark.parametrize(
    ("names", "message"), [("ear", 'there is no part "ear", expected face, '), (" , ", "no parts")]
)
def test_parts_that_are_none_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        parts_named(names)


def test_eyes_of_another_size_are_refused():
    boxes = find_eyes_in_labels(_face_labels())
    with pytest.raises(ValueError, match="1 pictures of 64x64, these are 1 of 32x32"):
        crop_eyes(torch.zeros(1, 3, 32, 32), boxes)
