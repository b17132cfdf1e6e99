"""Identities of people: one made of several."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..editor_core.face.identity import mix_identities
from . import sockets
from .analysis import schema
from .schemas import optional, output, required, widget

MOST = 4  # people in a mix


class MixIdentities(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def person(number: int) -> list[io.Input]:
            wire = required if number <= 2 else optional
            name = f"embedding_{number}"
            about = "From Embed Identity or Load Identity Embedding; one, or one a target."
            return [
                wire(sockets.Embedding, name, about),
                widget(
                    f"weight_{number}",
                    1.0,
                    f"How much of {name}; only the ratios of the weights count.",
                    low=0.0,
                    high=100.0,
                    step=0.05,
                ),
            ]

        return schema(
            "MixIdentities",
            "One identity between those of up to four people, by the weight of each.",
            search_aliases=["blend faces", "average face", "interpolate identity"],
            inputs=[each for number in range(1, MOST + 1) for each in person(number)],
            outputs=[output(sockets.Embedding, "embedding", "Their weighted spherical mean.")],
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        numbers = [n for n in range(1, MOST + 1) if given.get(f"embedding_{n}") is not None]
        people = [given[f"embedding_{n}"] for n in numbers]
        return io.NodeOutput(mix_identities(people, [given[f"weight_{n}"] for n in numbers]))
