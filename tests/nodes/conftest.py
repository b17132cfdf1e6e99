"""Drawn pictures, and what the nodes make of them."""

import pytest

from guided_face_edit.tests.support.running import draw_photo, embed, load, run

ALIGNED = {"template": "demo", "size": 64}


@pytest.fixture(scope="session")
def pair():
    """A source, a target, and the true swap."""
    return run("DrawDemoPortraits")


@pytest.fixture(scope="session")
def parsing(pair):
    return run("ParseFace", parser=load("FaceParser"), image=pair[1])[0]


@pytest.fixture(scope="session")
def mask(parsing):
    return run("FaceMask", parsing=parsing)[0]


@pytest.fixture(scope="session")
def eyes(pair, parsing):
    return run("CropEyes", image=pair[1], parsing=parsing)[0]


@pytest.fixture(scope="session")
def embedding(pair):
    return embed(pair[0])


@pytest.fixture(scope="session")
def drawn():
    """A photo of three, its faces, and a portrait of the first."""
    return draw_photo()


@pytest.fixture(scope="session")
def aligned(drawn):
    """The crops, the aligned faces, and how much of each lies in the photo."""
    photo, faces, _ = drawn
    return run("AlignFaces", image=photo, faces=faces, **ALIGNED)
