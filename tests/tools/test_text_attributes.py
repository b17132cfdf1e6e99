"""The table of wishes in words: its networks learn, and its rows are honest."""

from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.demo.people import Identity
from guided_face_edit.tools.text_attributes import edits, networks, tables
from guided_face_edit.tools.text_attributes.command import main
from guided_face_edit.tools.text_attributes.edits import WISHES, Edits, WishTrial
from guided_face_edit.tools.text_attributes.networks import (
    CAPTIONS,
    WORDS,
    CaptionLesson,
    LabelledPortraits,
    Towers,
    attributes,
    train_networks,
)
from guided_face_edit.tools.text_attributes.tables import wish_rows
from guided_face_edit.tools.train.learning import Course


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(networks, "COURSE", Course((2,), 4))
    for module in (networks, tables):
        monkeypatch.setattr(module, "PORTRAITS", 8)


def test_what_lies_between_has_no_name(generator):
    people = Identity.random(3, generator)
    beard, hair = torch.tensor([0.1, 0.6, 0.9]), torch.tensor([0.9, 0.5, 0.1])
    people = replace(
        people,
        inner=people.inner.with_(stubble=beard),
        outer=people.outer.with_(hair_lightness=hair),
    )
    nan = torch.nan
    expected = torch.tensor([[0.0, 1.0], [nan, nan], [1.0, 0.0]])
    torch.testing.assert_close(attributes(people), expected, equal_nan=True)


def test_captions_are_learned_from_pictures(generator):
    """Two pictures that differ in nothing but what the captions say."""
    image = torch.stack([torch.full((3, 64, 64), value) for value in (30, 220)]).byte()
    data = LabelledPortraits(image, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.manual_seed(0)
    lesson = CaptionLesson(Towers())
    optimiser = torch.optim.AdamW(lesson.parameters(), 3e-3)
    for _ in range(15):
        loss = lesson(data, torch.tensor([0, 1]), generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2


def test_wishes_speak_in_words_that_are_known():
    prompts = {text for wish in WISHES.values() for text in (wish.prompt, wish.negative_prompt)}
    assert prompts <= set(CAPTIONS)
    assert {word for prompt in prompts for word in prompt.split()} <= set(WORDS)


def test_training_resumes_to_the_same_networks(short, tmp_path):
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    clip, judge = train_networks(tmp_path)
    again, judge_again = train_networks(tmp_path)
    assert torch.equal(clip.embed(x), again.embed(x)) and torch.equal(judge(x), judge_again(x))


def test_the_rows_count_what_the_judge_sees(short, tmp_path):
    """A judge by brightness: the wish for a beard is granted where the edit is bright."""
    clip, _ = train_networks(tmp_path)
    trial = WishTrial.of(clip, lambda x: x.mean((1, 2, 3))[:, None].expand(-1, 2), 2, 0)
    mask = torch.zeros(2, 64, 64)
    bright = Edits(torch.ones(2, 64, 64, 3), mask + 1)
    mixed = Edits(torch.stack([torch.zeros(64, 64, 3), torch.ones(64, 64, 3)]), mask)
    rows = {row.name: row.value for row in wish_rows(trial, "a beard", bright, mixed)[:3]}
    assert rows == {"a beard, by the judge": 1, "  without the term": 0.5, "  gain": 0.5}
    *_, outside = wish_rows(trial, "no beard", mixed, bright)
    assert outside.value == 0 and outside.reached is False


def test_the_table_has_every_wish_and_pictures(short, tmp_path, monkeypatch, capsys):
    cheap = {"respacing": "1", "skip": 0, "candidates": 1, "gradient": "estimate"}
    monkeypatch.setattr(edits, "CHEAP", cheap)
    main(["1", "--work", str(tmp_path / "work"), "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert all(f"{name}, by the judge" in printed for name in WISHES)
    assert printed.count("background bit-identical") == len(WISHES)
    assert {path.suffix for path in tmp_path.glob("text_attributes.*")} == {".json", ".png"}
