"""Every node's schema: what it promises, and that a setting is declared once."""

import asyncio
import re

import pytest

import guided_face_edit
from guided_face_edit.nodes import NODES
from guided_face_edit.tests.support.running import BY_NAME

CORE = {"IMAGE", "MASK", "INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "CLIP", "CLIP_VISION"}
SAMPLING = {"MODEL", "VAE", "LATENT", "CONDITIONING", "NOISE", "SAMPLER"}
WORDS = {*CORE, *SAMPLING, "FACES", "BOUNDING_BOX"}
CATEGORIES = "loaders|photos|analysis|guidance|sampling|your own model|report"


@pytest.fixture(params=NODES, ids=lambda node: node.__name__)
def schema(request):
    return request.param.GET_SCHEMA()


def test_the_pack_lists_every_node_once(root):
    extension = asyncio.run(guided_face_edit.comfy_entrypoint())
    listed = asyncio.run(extension.get_node_list())
    assert listed == NODES
    assert len({node.define_schema().node_id for node in listed}) == len(listed)
    assert (root / guided_face_edit.WEB_DIRECTORY).is_dir()


def test_a_class_is_named_as_its_node():
    assert [node.define_schema().node_id for node in NODES] == [f"FaceEdit_{n}" for n in BY_NAME]


def test_names_follow_the_rules(schema):
    assert re.fullmatch(r"FaceEdit_([A-Z][a-z0-9]*)+", schema.node_id)
    assert schema.display_name and schema.display_name[0].isupper()
    assert re.fullmatch(f"face editing/({CATEGORIES})", schema.category)
    assert len(schema.description) > 20


def test_every_input_says_what_it_does(schema):
    for each in schema.inputs:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", each.id)
        assert each.tooltip and each.tooltip.endswith("."), each.id
        if each.io_type in ("INT", "FLOAT"):
            assert each.min <= each.default <= each.max, each.id
        assert each.io_type in WORDS or each.io_type.startswith("FACE_")


def test_a_seed_says_that_it_is_stepped(schema):
    """The page steps every number of that name, and keeps a widget's value for it."""
    for each in schema.inputs:
        assert bool(getattr(each, "control_after_generate", None)) == (each.id == "seed")
