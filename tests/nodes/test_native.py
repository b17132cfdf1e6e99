"""Our guidance and our models in the host's samplers."""

import copy
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch

from guided_face_edit.editor_core.diffusion.process import GaussianDiffusion
from guided_face_edit.editor_core.editing import edit_batch
from guided_face_edit.editor_core.guidance.terms import PixelTerm
from guided_face_edit.editor_core.images import to_bchw
from guided_face_edit.editor_core.metrics import EditMetrics
from guided_face_edit.editor_core.presets import preset
from guided_face_edit.nodes.face_model import on_shared_memory
from guided_face_edit.nodes.guidance import Chain
from guided_face_edit.nodes.host import ManagedModel
from guided_face_edit.nodes.sampling import KEY, RunLog, level_at
from guided_face_edit.tests.support.running import core, load, run
from guided_face_edit.tests.support.standin.sampling import Euler, ModelType, Sampling
from guided_face_edit.tests.support.tiny import tiny_diffusion

STEPS, SKIP, SEED = 4, 1, 7
KSAMPLER = {"steps": STEPS, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal"}


@cache
def face():
    """A small U-Net for the pictures and identities of the bundled models."""
    model = tiny_diffusion(256)
    return replace(model, network=copy.deepcopy(model.network).float(), image_size=64)


@pytest.fixture(scope="module")
def native():
    """A quick face model as the host's: MODEL and VAE."""
    managed = ManagedModel.of(face(), face().network)
    return run("FaceModelToModel", model=managed, clip_denoised=True)


@pytest.fixture(scope="module")
def guided(native, pair, mask, embedding):
    """Makes the model follow guidance: by default a single term that is smooth."""

    def make(term=None, **changes):
        (term,) = (term,) if term else run("PixelGuidance", scale=50.0)
        given = {"model": native[0], "vae": native[1], "guidance": term, "target": pair[1]}
        return run("ApplyFaceGuidance", **{**given, "mask": mask, **changes})[0]

    return make


def sampled(model, native, target, embedding, mask=None, sampler=None, eta=0.0):
    """What a sampler makes of the target, on the schedule of our own editor."""
    (noise,), (latent,) = (
        run("FaceNoise", seed=SEED),
        core("VAEEncode", pixels=target, vae=native[1]),
    )
    if mask is not None:
        (latent,) = core("SetLatentNoiseMask", samples=latent, mask=mask)
    positive, negative = run("IdentityConditioning", embedding=embedding)
    (guider,) = core("CFGGuider", model=model, positive=positive, negative=negative, cfg=1.0)
    given = {"noise": noise, "guider": guider, "sampler": sampler or Euler(), "sigmas": sigmas()}
    made, _ = core("SamplerCustomAdvanced", latent_image=latent, **given)
    return made, core("VAEDecode", samples=made, vae=native[1])[0]


def sigmas():
    """The levels that our own editor goes through."""
    spaced = face().diffusion.respaced(str(STEPS))
    kept = spaced.alphas_cumprod[: STEPS - SKIP].flip(0)
    return torch.cat([((1 - kept) / kept).sqrt(), torch.zeros(1)]).float()


def ours(target, mask, embedding, **changes):
    """The same edit by our own DDIM."""
    settings = replace(
        preset("demo"), respacing=str(STEPS), skip=SKIP, seed=SEED, candidates=1, **changes
    )
    model, terms = face(), [PixelTerm(scale=50.0)]
    pictures = to_bchw(target)
    return edit_batch(model, pictures, mask, terms, settings, embedding=embedding).images[:, 0]


@pytest.mark.parametrize("gradient", ["estimate", "network"])
def test_euler_of_the_host_is_our_ddim(guided, native, pair, embedding, gradient):
    everywhere = torch.ones(1, 64, 64)
    model = guided(mask=everywhere, gradient=gradient, strength=0.0)
    _, drawn = sampled(model, native, pair[1], embedding)
    wanted = ours(pair[1], everywhere, embedding, gradient=gradient, ramp_end=0.0)
    torch.testing.assert_close(drawn, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_the_blend_sampler_holds_the_background_as_our_editor_does(
    guided, native, pair, mask, embedding, eta
):
    model = guided(gradient="estimate", strength=0.0)
    (sampler,) = run("FaceBlendSampler", eta=eta, ramp_end=0.7)
    _, drawn = sampled(model, native, pair[1], embedding, mask, sampler)
    (kept,) = run("KeepBackground", target=pair[1], edit=drawn, mask=mask)
    wanted = ours(pair[1], mask, embedding, gradient="estimate", eta=eta, ramp_end=0.7)
    assert (kept - wanted).abs().mean() < 1e-3 < (kept - pair[1]).abs().mean()
    outside = (mask == 0)[..., None].expand_as(kept)
    assert torch.equal(kept[outside], pair[1][outside])


def test_a_run_tells_how_it_went_and_leaves_nothing_behind(guided, native, pair, mask, embedding):
    model = guided(guide_every=2)
    first, _ = sampled(model, native, pair[1], embedding, mask)
    second, _ = sampled(model, native, pair[1], embedding, mask)
    assert torch.equal(first["samples"], second["samples"])
    (metrics,) = run("GuidanceMetrics", model=model, latent=first)
    assert [sample.t for sample in metrics.series["pixel"]] == [1]
    with pytest.raises(ValueError, match="no guided run ended in this latent, expected the one"):
        run("GuidanceMetrics", model=model, latent={"samples": first["samples"] + 1})


def test_the_hosts_sampler_follows_and_a_chain_without_terms_changes_nothing(
    guided, native, pair, mask, embedding
):
    (latent,) = core("VAEEncode", pixels=pair[1], vae=native[1])
    (latent,) = core("SetLatentNoiseMask", samples=latent, mask=mask)
    positive, negative = run("IdentityConditioning", embedding=embedding)
    given = {"positive": positive, "negative": negative, "latent_image": latent, "seed": SEED}
    (empty,) = run("PixelGuidance", scale=0.0)
    plain, none, some = (
        core("KSampler", model=model, **given, **KSAMPLER, denoise=0.8)[0]["samples"]
        for model in (native[0], guided(empty), guided())
    )
    assert torch.equal(plain, none) and not torch.equal(plain, some)


def test_two_patches_both_act(guided, native, pair, mask, embedding):
    (light,) = run("LightGuidance", scale=100.0)
    once, other = guided(), guided(light)
    twice = guided(light, model=once)
    drawn = [sampled(each, native, pair[1], embedding)[1] for each in (once, other, twice)]
    assert not torch.equal(drawn[2], drawn[0]) and not torch.equal(drawn[2], drawn[1])


def test_every_face_of_a_photo_is_guided_in_its_crop(native, embedding):
    photo, faces, _ = run("DrawDemoPhoto", people=2, width=128, height=64)
    crops, aligned, _ = run("AlignFaces", image=photo, faces=faces, template="demo", size=64)
    (identity,) = run("IdentityGuidance", identity_model=load("IdentityModel"), views=1)
    given = {"model": native[0], "vae": native[1], "guidance": identity, "target": photo}
    (model,) = run("ApplyFaceGuidance", **given, faces=aligned, embedding=embedding, strength=0.3)
    plain, _ = sampled(native[0], native, photo, embedding)
    moved, _ = sampled(model, native, photo, embedding)
    changed = (moved["samples"] != plain["samples"]).any(1)[0]
    assert changed.any()
    (metrics,) = run("GuidanceMetrics", model=model, latent=moved)
    assert {len(sample.values) for sample in metrics.series["identity"]} == {len(crops)}


def test_a_photo_without_faces_is_sampled_as_it_is(native, embedding):
    photo, faces, _ = run("DrawDemoPhoto", people=1, width=64, height=64)
    (pixel,) = run("PixelGuidance")
    given = {"model": native[0], "vae": native[1], "guidance": pixel, "target": photo}
    (model,) = run("ApplyFaceGuidance", **given, faces=faces.rows([]))
    plain, same = (sampled(each, native, photo, embedding)[1] for each in (native[0], model))
    assert torch.equal(plain, same)


def test_more_latents_share_one_target(guided, native, pair, embedding):
    model = guided(gradient="estimate")
    both, _ = sampled(model, native, pair[1].repeat(2, 1, 1, 1), embedding)
    alone, _ = sampled(model, native, pair[1], embedding)
    torch.testing.assert_close(both["samples"][:1], alone["samples"], rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="there are 2 targets for 1 latents: give one target"):
        sampled(guided(target=pair[1].repeat(2, 1, 1, 1)), native, pair[1], embedding)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edit": torch.rand(1, 32, 64, 3)}, "give edits as large as the targets"),
        ({"target": torch.rand(2, 64, 64, 3), "edit": torch.rand(3, 64, 64, 3)}, "one or more of"),
        ({"mask": torch.ones(1, 32, 64)}, "mask is 32x64, image is 64x64: resize the mask first"),
    ],
)
def test_what_cannot_be_kept_is_refused(changes, message):
    given = {"target": torch.rand(1, 64, 64, 3), "edit": torch.rand(1, 64, 64, 3)}
    with pytest.raises(ValueError, match=message):
        run("KeepBackground", **{**given, "mask": torch.ones(1, 64, 64), **changes})


def test_a_ramped_mask_grows_to_the_whole(native, pair, mask, embedding):
    (ramped,) = run("RampFaceMask", model=native[0], ramp_end=0.8)
    grow, seen = ramped.model_options["denoise_mask_function"], sigmas()
    extra = {"model": type("Wrap", (), {"inner_model": native[0].model}), "sigmas": seen}
    weights = [float(grow(each[None], torch.ones(1), extra_options=extra)) for each in seen[:-1]]
    assert 0 < weights[0] < 1 == weights[-1] and weights == sorted(weights)
    plain, soft = (
        sampled(each, native, pair[1], embedding, mask)[1] for each in (native[0], ramped)
    )
    assert not torch.equal(plain, soft)


def test_a_target_of_another_size_than_what_is_drawn_is_refused(guided, native, pair, embedding):
    photo, faces, _ = run("DrawDemoPhoto", people=1, width=128, height=64)
    crops, aligned, _ = run("AlignFaces", image=photo, faces=faces, template="demo", size=64)
    model = guided(target=photo, faces=aligned, mask=None)
    with pytest.raises(ValueError, match="the target is 64x128, what is drawn 64x64: resize"):
        sampled(model, native, pair[1], embedding)


def test_rows_of_other_photos_and_faces_are_refused(guided, native, drawn, embedding):
    photo, faces, _ = drawn
    given = {"target": photo, "faces": faces, "mask": None, "embedding": embedding}
    (term,) = run("IdentityGuidance", identity_model=load("IdentityModel"), views=1)
    for changes, message in (
        ({"mask": torch.ones(3, *photo.shape[1:3])}, "mask has shape .*give one of the photo"),
        ({"embedding": embedding.repeat(2, 1)}, "got 2 embeddings for 3 faces: give one for all"),
    ):
        with pytest.raises(ValueError, match=message):
            sampled(guided(term, **{**given, **changes}), native, photo, embedding)


def test_latents_of_several_kinds_are_refused(guided):
    (wrapper,) = guided().get_wrappers("outer_sample", KEY)
    with pytest.raises(ValueError, match="several kinds at once, .* guide an image model"):
        wrapper(None, latent_shapes=[(1, 16, 4, 8, 8), (1, 8, 32)])


def test_two_patches_both_act_through_the_network(guided, native, pair, mask, embedding):
    (light,) = run("LightGuidance", scale=100.0)
    twice = guided(light, model=guided(gradient="network"), gradient="network")
    made, _ = sampled(twice, native, pair[1], embedding)
    (metrics,) = run("GuidanceMetrics", model=twice, latent=made)
    assert set(metrics.series) == {"light"} and made["samples"].isfinite().all()


def test_a_pass_through_the_network_has_the_hosts_differentiable_operations(
    guided, native, pair, mask, embedding, monkeypatch
):
    import comfy.model_management as memory

    monkeypatch.setattr(memory, "in_training", False, raising=False)
    training = []

    @dataclass(frozen=True, kw_only=True)
    class Seen(PixelTerm):
        def bind(self, batch):
            loss = super().bind(batch)
            return lambda image: [training.append(memory.in_training), loss(image)][1]

    for gradient in ("estimate", "network"):
        sampled(guided(Chain((Seen(),)), gradient=gradient), native, pair[1], embedding)
    assert training == [False] * (STEPS - SKIP) + [True] * (STEPS - SKIP)
    assert memory.in_training is False


def test_a_run_is_known_by_its_latents_in_half_precision_and_with_nan():
    log, metrics, latents = RunLog(), EditMetrics(), torch.tensor([0.1, torch.nan, 3.0])
    log.keep(latents, metrics)
    assert log.of(latents) is metrics and log.of(latents.half()) is metrics
    assert log.of(latents + 1) is None


def test_the_blend_sampler_refuses_sigmas_that_rise():
    (sampler,) = run("FaceBlendSampler", eta=0.0, ramp_end=0.7)
    with pytest.raises(ValueError, match="the sigmas rise, expected falling ones"):
        sampler.sample(None, torch.tensor([0.1, 1.0]), {}, None, torch.zeros(1, 3, 8, 8))


def test_a_single_level_is_the_last_step():
    level = level_at(Flow(), 0.5, torch.tensor([0.5]))
    assert level.step == 0 and level.ratio == pytest.approx(1.0)


def test_a_step_of_a_table_is_the_tables_level():
    table, sampling = GaussianDiffusion.linear(1000), Sampling(ModelType.EPS)
    kept = table.alphas_cumprod
    sampling.set_sigmas(((1 - kept) / kept).sqrt())
    steps = sampling.sigmas[[900, 500, 100]]
    for index, t in enumerate((900, 500, 100)):
        level = level_at(sampling, float(steps[index]), torch.cat([steps, torch.zeros(1)]))
        wanted = table.level(t)
        assert level.signal == 1 and level.step == 2 - index
        assert level.ratio == pytest.approx(wanted.ratio, rel=1e-6)
        assert level.percent == pytest.approx(wanted.percent, abs=2e-3)


class Flow:
    """A rectified flow's `model_sampling`, shifted as SD3's."""

    def percent_to_sigma(self, percent):
        return 3 * (1 - percent) / (1 + 2 * (1 - percent))

    def noise_scaling(self, sigma, noise, latent_image):
        return sigma * noise + (1 - sigma) * latent_image


@pytest.mark.parametrize("percent", [0.0, 0.3, 0.9])
def test_a_step_of_a_flow_is_a_level(percent):
    sigma = Flow().percent_to_sigma(percent)
    level = level_at(Flow(), sigma, torch.tensor([1.0, sigma, 0.0]))
    assert level.percent == pytest.approx(percent, abs=1e-6)
    assert level.signal == pytest.approx(max(1 - sigma, 1e-4))
    assert level.signal * level.ratio == pytest.approx(sigma)
    assert level.step == (0 if sigma < 1 else 1)
    last = level_at(Flow(), 1e-6, torch.tensor([1.0, 1e-6, 0.0]))
    assert last.percent < 1  # a window up to 1 holds the last step


def test_a_copy_shares_its_memory_until_it_is_moved():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    other = on_shared_memory(network)
    pairs = list(zip(network.state_dict().values(), other.state_dict().values(), strict=True))
    assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
    other.double()
    assert {each.dtype for each in network.parameters()} == {torch.float32}
    assert {each.dtype for each in other.parameters()} == {torch.float64}
