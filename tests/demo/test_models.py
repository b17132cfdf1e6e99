"""The bundled models."""

from safetensors import safe_open

from guided_face_edit.editor_core.demo.models import WEIGHTS, load_demo_models


def test_the_weights_are_small_and_say_what_they_are():
    files = sorted(WEIGHTS.rglob("*.safetensors"))
    assert len(files) == 6
    assert sum(file.stat().st_size for file in files) < 20e6
    for file in files:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
        assert {"kind", "config", "licence", "seed", "training"} <= set(metadata), file


def test_the_encoder_says_that_it_learned_from_drawn_portraits():
    encoder = load_demo_models().identity
    assert (encoder.template, encoder.same_person) == ("demo", 0.2)
