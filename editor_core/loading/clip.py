"""CLIP of a folder of the transformers library, with its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from ..checkpoints.errors import MissingModel, UnsupportedCheckpoint
from ..checkpoints.reading import Checkpoint
from ..face.clip import ClipEncoder
from ..files import read_json
from ..models.clip import Clip, ClipConfig, clip_tensors
from .networks import load_network

NEEDED = (  # beside the weights, of each one choice
    (("config.json",),),
    (("tokenizer.json",), ("vocab.json", "merges.txt")),
)


def clip_encoder(checkpoint: Checkpoint) -> ClipEncoder:
    """The encoder of a file that lies among the others of its folder."""
    folder = checkpoint.path.parent
    _require_transformers()
    for choices in NEEDED:
        _require_one(folder, choices)
    config = read_json(folder / "config.json")
    shape = ClipConfig.from_state_dict(checkpoint.tensors, config)
    network = load_network(Clip, shape, clip_tensors(checkpoint.tensors))
    return ClipEncoder(network, clip_texts(network, folder), shape.image_size)


def clip_texts(network: Clip, folder: Path) -> Callable[[Sequence[str]], Tensor]:
    """Texts to vectors (k,E) by the folder's tokenizer, which is data; longer texts are cut."""
    from transformers import CLIPTokenizer  # pyright: ignore[reportMissingImports]

    tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    options = {"padding": True, "truncation": True, "max_length": network.config.context}

    def texts(given: Sequence[str]) -> Tensor:
        tokens = tokenizer(list(given), return_tensors="pt", **options)
        device = next(network.parameters()).device
        ids, mask = (tokens[key].to(device) for key in ("input_ids", "attention_mask"))
        return network.embed_tokens(ids, mask)

    return texts


def _require_one(folder: Path, choices: Sequence[Sequence[str]]) -> None:
    if not any(all((folder / name).is_file() for name in names) for names in choices):
        expected = " or ".join(" with ".join(names) for names in choices)
        raise MissingModel(
            f"no {expected} in {folder}: fetch the model's whole folder, its tokenizer included"
        )


def _require_transformers() -> None:
    if find_spec("transformers") is None:
        raise UnsupportedCheckpoint(
            "expected the library transformers, which reads CLIP, and it is not installed: "
            "pip install transformers (ComfyUI brings it)"
        )
