"""Parity of the networks: the U-Nets of `unet_*.safetensors`, and the others of `nets.safetensors`.

The manifest's notes say how each network is made, what a file holds decides what is compared.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from guided_face_edit.editor_core.models.bisenet import BiSeNet, BiSeNetConfig
from guided_face_edit.editor_core.models.eyenet import EyeNet, EyeNetConfig
from guided_face_edit.editor_core.models.iresnet import IResNet, IResNetConfig
from guided_face_edit.editor_core.models.unet import UNet, UNetConfig

from .fill import fill, hash_tensor_from_text, override, sha256_of_all
from .measure import assert_near, assert_same_pixels, by_either_kernel, thinned, tolerances

Notes = dict[str, Any]
Tensors = Mapping[str, Tensor]

SLOW_PARAMETERS = 100_000_000
IDENTITY_CHANNELS = 512
NUM_CLASSES = 1000
DEFAULT_CHANNEL_MULT = {  # by picture size, where the note leaves it empty
    512: (0.5, 1, 1, 2, 2, 4, 4),
    256: (1, 1, 2, 2, 4, 4),
    128: (1, 1, 2, 3, 4),
    64: (1, 2, 3, 4),
}
TOLERANCES = {  # which of the manifest's tolerances holds for a network's outputs and gradient
    "unet": ("unet_*.out, grad_x", "unet_*.out, grad_x"),
    "bisenet": ("bisenet/arcface/eyenet forward", "bisenet grad"),
    "arcface": ("bisenet/arcface/eyenet forward", "arcface/eyenet grad"),
    "eyenet": ("bisenet/arcface/eyenet forward", "arcface/eyenet grad"),
}


def check_unet(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    """The output, the gradient and the features of one U-Net."""
    network = unet_from_note(note, manifest["rules"], tensors)
    features = _record(network, {_module_of(key) for key in tensor_table if "feat/" in key})
    x = tensors["x"].clone().requires_grad_("grad_x" in tensors)
    out = network(x, tensors["t"], tensors.get("id"), tensors.get("y"))
    measured = {"out": out, **_gradient(out, x, note)}
    for key in tensor_table:
        got = _feature(features, key) if "feat/" in key else measured.get(key)
        if got is not None:
            _compare(manifest, "unet", key, got, tensors[key])


def check_nets(
    manifest: Notes, name: str, note: Notes, tensors: Tensors, tensor_table: Notes, folder: Path
) -> None:
    """The outputs and gradients of the parser, the identity encoder and the gaze network."""
    for group in sorted({key.partition("/")[0] for key in tensor_table}):
        by_either_kernel(partial(_check_net, manifest, group, note, tensors))


def _check_net(manifest: Notes, group: str, note: Notes, tensors: Tensors) -> None:
    kind, _, mode = group.partition("_")
    case = {key.removeprefix(f"{group}/"): tensors[key] for key in _members(tensors, group)}
    x = case.pop("x").float().requires_grad_()
    network = MAKERS[kind](note[kind], manifest["rules"], x).train(mode == "train")
    measured = _measure(kind, network, x)
    measured |= _gradient(measured["gaze" if kind == "eyenet" else "out"], x, note[kind])
    for key, expected in case.items():
        _compare(manifest, kind, key, measured[_without_stride(key)], expected)


def is_slow(manifest: Notes, name: str) -> bool:
    """Whether the file's U-Net is too large for the quick suite."""
    note = manifest["files"][name]["notes"]
    if not name.startswith("unet_"):
        return False
    network = _empty(UNet, unet_config(note["config"]))
    return sum(parameter.numel() for parameter in network.parameters()) > SLOW_PARAMETERS


def unet_from_note(note: Notes, rules: Notes, tensors: Tensors) -> UNet:
    """The U-Net of `note["config"]`: weights `sd/*` of the file's tensors, else the fill rule."""
    conditions = {"identity": "id" in tensors or "img_id" in tensors, "label": "y" in tensors}
    network = _empty(UNet, unet_config(note["config"], **conditions))
    stored = {key[3:]: value.float() for key, value in tensors.items() if key.startswith("sd/")}
    return _loaded(network, stored) if stored else _filled(network, note, rules)


def unet_config(flags: Notes, identity: bool = True, label: bool = False) -> UNetConfig:
    """The configuration that the published code's flags stand for."""
    size = flags["image_size"]
    given = [float(factor) for factor in flags["channel_mult"].split(",") if factor]
    resolutions = [int(side) for side in flags["attention_resolutions"].split(",")]
    by_width = flags["num_head_channels"] != -1
    return UNetConfig(
        model_channels=flags["num_channels"],
        channel_mult=tuple(given) or DEFAULT_CHANNEL_MULT[size],
        num_res_blocks=flags["num_res_blocks"],
        attention_factors=tuple(size // side for side in resolutions),
        num_heads=None if by_width else flags["num_heads"],
        head_channels=flags["num_head_channels"] if by_width else None,
        attention_order="new" if flags["use_new_attention_order"] else "legacy",
        resblock_updown=flags["resblock_updown"],
        scale_shift_norm=flags["use_scale_shift_norm"],
        identity_channels=IDENTITY_CHANNELS if identity else None,
        num_classes=NUM_CLASSES if label or flags["class_cond"] else None,
        out_channels=6 if flags["learn_sigma"] else 3,
    )


def bisenet_from_note(note: Notes, rules: Notes) -> BiSeNet:
    """The parser with the fill rule's weights, in evaluation mode."""
    return _filled(_empty(BiSeNet, BiSeNetConfig(note.get("n_classes", 19))), note, rules)


def iresnet_from_note(note: Notes, rules: Notes, input_size: int = 112) -> IResNet:
    """The identity encoder with the fill rule's weights, in evaluation mode."""
    layers, use_se = tuple(note.get("layers", (3, 4, 23, 3))), note.get("use_se", True)
    config = IResNetConfig(layers, input_size=input_size, use_se=use_se)
    return _filled(_empty(IResNet, config), note, rules)


def eyenet_from_note(note: Notes, rules: Notes) -> EyeNet:
    """The gaze network with the fill rule's weights, in evaluation mode."""
    sizes = {key: note[key] for key in ("nstack", "nfeatures", "nlandmarks") if key in note}
    return _filled(_empty(EyeNet, EyeNetConfig(**sizes)), note, rules)


MAKERS = {
    "bisenet": lambda note, rules, x: bisenet_from_note(note, rules),
    "arcface": lambda note, rules, x: iresnet_from_note(note, rules, x.shape[-1]),
    "eyenet": lambda note, rules, x: eyenet_from_note(note, rules),
}


def _empty(network: Callable[[Any], Any], config: Any) -> Any:
    """A network that has no values yet, so that no time is lost in drawing them."""
    with torch.device("meta"):
        return network(config)


def _filled(network: nn.Module, note: Notes, rules: Notes) -> Any:
    tensors = fill(network.state_dict(), rules[note["rules"]], note["seed"])
    override(tensors, note.get("overrides", []))
    if "rounded" in note:
        tensors = {name: tensor.half().float() for name, tensor in tensors.items()}
    assert note.get("sha256_of_all") in (None, sha256_of_all(tensors)), "weights of another rule"
    return _loaded(network, tensors)


def _loaded(network: nn.Module, tensors: Tensors) -> Any:
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _measure(kind: str, network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    if kind == "arcface":
        return {"out": network(x)}
    if kind == "eyenet":
        return network(x)._asdict()
    out, out16, out32 = network(x)
    return {"out": out, "out16": out16, "out32": out32, "argmax": out.argmax(1)}


def _gradient(out: Tensor, x: Tensor, note: Notes) -> dict[str, Tensor]:
    if not x.requires_grad:
        return {}
    cotangent = hash_tensor_from_text(note["cotangent"])[: len(x)]
    return {"grad_x": torch.autograd.grad((out * cotangent).sum(), x)[0]}


def _record(network: nn.Module, modules: set[str]) -> dict[str, Tensor]:
    """A dictionary that the next forward pass fills with the outputs of `modules`."""
    outputs: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module, given: Any, output: Tensor) -> None:
        outputs[name] = output

    for name in modules:
        network.get_submodule(name).register_forward_hook(partial(record, name))
    return outputs


def _members(tensors: Tensors, group: str) -> list[str]:
    return [key for key in tensors if key.startswith(f"{group}/")]


def _module_of(key: str) -> str:
    """`feat/input_blocks.1_meanHW` -> `input_blocks.1`"""
    return re.sub("_(meanHW|corner)$", "", key.removeprefix("feat/"))


def _feature(features: dict[str, Tensor], key: str) -> Tensor:
    output = features[_module_of(key)]
    if key.endswith("_meanHW"):
        return output.mean((2, 3))
    return output[:, :, :4, :4] if key.endswith("_corner") else output


def _compare(manifest: Notes, kind: str, key: str, got: Tensor, expected: Tensor) -> None:
    name, got = f"{kind} {key}", thinned(got.detach(), key)
    assert got.shape == expected.shape, f"{name}: {tuple(got.shape)}, not {tuple(expected.shape)}"
    if not expected.is_floating_point():
        assert_same_pixels(name, got, expected, tolerances(manifest, "masks/argmax")[0])
    else:
        limit = tolerances(manifest, TOLERANCES[kind]["grad" in key])[0]
        assert_near(name, got, expected, limit)


def _without_stride(key: str) -> str:
    return re.sub(r"_s\d+$", "", key)
