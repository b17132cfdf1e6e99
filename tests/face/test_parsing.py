"""Face parts: the parser's classes, masks of parts, and their names."""

import pytest
import torch

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
from guided_face_edit.tests.support.tiny import tiny_parser


def _parsing(labels):
    return FaceParsing(torch.nn.functional.one_hot(labels, 19).movedim(-1, 1).float())


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
