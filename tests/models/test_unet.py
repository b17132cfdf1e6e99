"""The U-Net in every published form."""

import hashlib
import json
import warnings
from dataclasses import replace

import pytest
import torch

from guided_face_edit.editor_core.models.unet import UNet, UNetConfig
from guided_face_edit.tests.support.tiny import TINY_UNET

FORMS = {
    "plain": TINY_UNET,
    "identity": replace(TINY_UNET, identity_channels=12),
    "classes": replace(TINY_UNET, num_classes=5),
    "identity and classes": replace(TINY_UNET, identity_channels=12, num_classes=5),
    "new attention order": replace(TINY_UNET, attention_order="new"),
    "head count": replace(TINY_UNET, head_channels=None, num_heads=2),
    "convolutions resize": replace(TINY_UNET, resblock_updown=False),
    "added condition": replace(TINY_UNET, scale_shift_norm=False),
    "fixed variance": replace(TINY_UNET, out_channels=3),
    "three levels": replace(TINY_UNET, channel_mult=(1, 1, 2), attention_factors=(2, 4)),
    "half-width first level": replace(TINY_UNET, model_channels=64, channel_mult=(0.5, 1, 1)),
    "blocks by level": replace(
        TINY_UNET, channel_mult=(1, 1, 2), num_res_blocks=(1, 3, 2), attention_factors=(2, 4)
    ),
    "blocks by level, convolutions resize": replace(
        TINY_UNET, channel_mult=(1, 2, 2), num_res_blocks=(2, 1, 2), resblock_updown=False
    ),
    "two blocks, no attention": replace(TINY_UNET, num_res_blocks=2, attention_factors=()),
}
DIFFACE = {  # its two networks: tensors, numbers, and the beginning of the layout's digest
    "512": (
        UNetConfig(
            32,
            (1, 2, 4, 8, 8, 16, 16),
            (1, 2, 2, 2, 2, 3, 4),
            (16, 32, 64),
            head_channels=64,
            resblock_updown=False,
        ),
        (630, 159_788_454, "03b6283991887e81"),
    ),
    "256": (
        UNetConfig(128, (1, 1, 2, 2, 4, 4), 2, (16, 32), head_channels=64, resblock_updown=False),
        (456, 124_056_710, "df96aa82aab923ff"),
    ),
}


def _randomised(config, generator):
    """A network that does something: a fresh one returns zero."""
    network = UNet(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def _conditions(config, generator, batch=2):
    identity = torch.randn(batch, config.identity_channels or 1, generator=generator)
    label = torch.arange(batch)
    return {
        "identity": None if config.identity_channels is None else identity,
        "label": None if config.num_classes is None else label,
    }


def _hints(config):
    return {key: getattr(config, key) for key in ("num_heads", "head_channels", "attention_order")}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_config_is_read_from_the_tensors(form):
    with torch.device("meta"):
        tensors = UNet(form).state_dict()
    assert UNetConfig.from_state_dict(tensors, _hints(form)) == form


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_condition_changes_the_answer(form, generator):
    network = _randomised(form, generator)
    x = torch.randn(2, 3, 16, 16, generator=generator)
    t = torch.tensor([10.0, 900.0])
    conditions = _conditions(form, generator)
    out = network(x, t, **conditions)
    assert out.shape == (2, form.out_channels, 16, 16)
    assert not torch.allclose(out, network(x, t + 50, **conditions))
    for name, value in conditions.items():
        if value is not None:
            assert not torch.allclose(out, network(x, t, **{**conditions, name: value.flip(0)}))


def test_pictures_of_a_batch_do_not_mix(generator):
    network = _randomised(FORMS["identity and classes"], generator)
    x, t = torch.randn(2, 3, 16, 16, generator=generator), torch.tensor([3.0, 500.0])
    conditions = _conditions(network.config, generator)
    second = {name: value[1:] for name, value in conditions.items()}
    both, alone = network(x, t, **conditions), network(x[1:], t[1:], **second)
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-4)


def test_a_fresh_network_returns_zero_and_learns(generator):
    network = UNet(TINY_UNET)
    x, t = torch.randn(4, 3, 8, 8, generator=generator), torch.arange(4.0) * 100
    assert network(x, t).count_nonzero() == 0
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(5):
        losses.append((network(x, t)[:, :3] - x).square().mean())
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]


def test_attention_orders_name_the_same_channels_differently(generator):
    legacy = _randomised(TINY_UNET, generator)
    new = UNet(replace(TINY_UNET, attention_order="new")).eval()
    tensors = legacy.state_dict()
    for name in tensors:
        if ".qkv." in name:
            heads_first = tensors[name].unflatten(0, (-1, 3, TINY_UNET.head_channels))
            tensors[name] = heads_first.transpose(0, 1).flatten(0, 2)
    new.load_state_dict(tensors)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([7.0])
    torch.testing.assert_close(new(x, t), legacy(x, t), rtol=1e-4, atol=1e-4)


def test_computes_in_the_precision_of_its_weights(generator):
    network = _randomised(replace(TINY_UNET, identity_channels=4), generator)
    x, t = torch.randn(1, 3, 16, 16, generator=generator), torch.tensor([7.0])
    identity = torch.ones(1, 4)
    full = network(x, t, identity)
    low = network.to(torch.bfloat16)(x, t, identity)
    assert low.dtype == torch.float32
    assert (low - full).norm() < 0.1 * full.norm()


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        (
            TINY_UNET,
            {"identity": torch.zeros(1, 4)},
            r"takes no identity, got one of shape \(1, 4\)",
        ),
        (replace(TINY_UNET, identity_channels=4), {}, r"takes identity \(of 4\), got none"),
        (replace(TINY_UNET, num_classes=5), {}, r"takes label \(of 5\), got none"),
    ],
)
def test_conditions_must_fit_the_network(config, given, message):
    with pytest.raises(ValueError, match=message):
        UNet(config)(torch.zeros(1, 3, 8, 8), torch.zeros(1), **given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 4}, "exactly one of num_heads and head_channels, got 4 and 16"),
        ({"head_channels": None}, "got None and None"),
        ({"attention_order": "newest"}, "attention_order is 'newest'"),
        ({"model_channels": 40}, "not all multiples of 32"),
        ({"num_res_blocks": (1, 2, 2)}, r"num_res_blocks is \(1, 2, 2\): expected .* of 2 levels"),
    ],
)
def test_config_refuses_what_no_network_is(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY_UNET, **changes)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="64 channels cannot be split evenly"):
        UNet(replace(TINY_UNET, head_channels=48))


def test_unknown_attention_is_assumed_with_a_warning():
    tensors = UNet(TINY_UNET).state_dict()
    with pytest.warns(UserWarning, match="assuming num_heads 4, attention_order legacy"):
        assert UNetConfig.from_state_dict(tensors).num_heads == 4
    with pytest.warns(UserWarning, match="assuming head_channels 8, attention_order legacy"):
        assert UNetConfig.from_state_dict(tensors, {"head_channels": 8}).head_channels == 8


def test_the_published_network_is_known(root):
    """Its names and shapes are those of the published file, and nothing has to be assumed."""
    text = (root / "tests" / "golden" / "state_dict_layouts.json").read_text(encoding="utf-8")
    config = UNetConfig(
        256, (1, 1, 2, 2, 4, 4), 2, (8, 16, 32), head_channels=64, identity_channels=512
    )
    with torch.device("meta"):
        tensors = UNet(config).state_dict()
    assert {name: list(t.shape) for name, t in tensors.items()} == json.loads(text)["Model.pt"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert UNetConfig.from_state_dict(tensors) == config


@pytest.mark.parametrize(("config", "facts"), DIFFACE.values(), ids=DIFFACE)
def test_diffaces_networks_are_known(config, facts):
    """Names and shapes are those that DifFace's own class has under its published settings."""
    with torch.device("meta"):
        tensors = UNet(config).state_dict()
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert (len(lines), sum(t.numel() for t in tensors.values()), digest[:16]) == facts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert UNetConfig.from_state_dict(tensors) == config
