"""How well encoders tell people apart: pairs are told from strangers, views are what they say."""

import pytest
import torch
import torch.nn.functional as F

from guided_face_edit.editor_core.demo.groups import draw_group_photos
from guided_face_edit.editor_core.demo.models import load_demo_models
from guided_face_edit.editor_core.images import write_png
from guided_face_edit.tools.verification.command import main, pair_distances, verification_table
from guided_face_edit.tools.verification.people import VIEWS, Embedded, embed_people


class Detector:
    """Finds these faces, picture after picture."""

    def __init__(self, faces):
        self.faces = iter(faces)

    def find(self, photos):
        return next(self.faces)


def test_every_pair_is_compared_once():
    identity = F.normalize(torch.tensor([[1.0, 0], [1, 1], [0, 1]]), dim=1)
    same, strangers = pair_distances(Embedded(identity, torch.tensor([0, 0, 1])))
    torch.testing.assert_close(same, torch.tensor([1 - 0.5**0.5]))
    torch.testing.assert_close(strangers, torch.tensor([1.0, 1 - 0.5**0.5]))


def test_people_of_a_folder_are_seen_in_every_way(tmp_path):
    encoder, found = load_demo_models().identity, []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        drawn = draw_group_photos(seed, people=1, frames=1, size=(256, 256))
        for name in ("empty.png", "face.png"):
            write_png(tmp_path / str(seed) / name, drawn.image[0])
        found += [drawn.faces.rows([]), drawn.faces]
    views = embed_people(encoder, tmp_path, Detector(found))
    assert list(views) == list(VIEWS) and all(each.left_out == 2 for each in views.values())
    whole, average, own, photo = (each.identity for each in views.values())
    near, far = (1 - (each * photo).sum(1) for each in (own, whole))
    assert near.max() < 0.05 and (near < far / 2).all()
    assert average.shape == (2, 256)


def test_the_table_has_the_encoders_own_line():
    embedded = Embedded(torch.eye(4), torch.tensor([0, 0, 1, 1]))
    text = verification_table(load_demo_models().identity, {"drawn": embedded})
    assert "one person up to 0.2: 4 pictures of 2 people" in text
    assert "| drawn | 0.00% / 0.00% |" in text


def test_drawn_people_are_told_apart(capsys):
    main(["--drawn", "3", "--pictures", "2"])
    assert "6 pictures of 3 people" in capsys.readouterr().out
    with pytest.raises(ValueError, match="faces must be found, and there is no detector"):
        main(["somewhere"])
