"""Our DDIM and ComfyUI's euler side by side, run by ComfyUI's Python: COMFYUI's folder, the pack's.

With one smooth term and everything free both draw the same picture; with a mask Face Blend Sampler
does, but for its percents, which ComfyUI counts by a thousandth part otherwise.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from comfyui_host import load_pack  # which makes ComfyUI importable

# isort: split
import comfy.sample
import comfy.samplers
import torch

STEPS, SKIP, SEED, SIZE = 20, 2, 5000, 64


def main() -> None:
    load_pack()
    from pack.editor_core.demo.models import load_demo_models
    from pack.editor_core.demo.pairs import draw_pairs
    from pack.editor_core.editing import edit_batch
    from pack.editor_core.face.identity import embed_identity
    from pack.editor_core.face.parsing import face_mask, parse_face
    from pack.editor_core.guidance.terms import PixelTerm
    from pack.editor_core.images import signed, to_bchw
    from pack.editor_core.presets import preset
    from pack.nodes import blending, native
    from pack.nodes.guidance import Chain
    from pack.nodes.host import ManagedModel

    models, pair = load_demo_models(), draw_pairs(1, SEED, SIZE)
    target, terms = to_bchw(pair.target.image), [PixelTerm(scale=50.0)]
    embedding = embed_identity(models.identity, signed(to_bchw(pair.source.image)))
    face = face_mask(parse_face(models.parser, signed(target)))[:, 0]
    table = models.diffusion.diffusion.respaced(str(STEPS)).alphas_cumprod[: STEPS - SKIP].flip(0)
    sigmas = torch.cat([((1 - table) / table).sqrt(), torch.zeros(1)]).float()

    def ours(mask, gradient, **changes):
        run = {"respacing": str(STEPS), "skip": SKIP, "seed": SEED, "candidates": 1, "eta": 0.0}
        settings = replace(preset("demo"), gradient=gradient, **run, **changes)
        return edit_batch(models.diffusion, target, mask, terms, settings, embedding=embedding)

    def theirs(mask, gradient, sampler, noise_mask=None):
        with torch.inference_mode():
            managed = ManagedModel.of(models.diffusion, models.diffusion.network)
            model, vae = native.FaceModelToModel.execute(managed, True).args
            conditions = native.IdentityConditioning.execute(embedding).args
            model = native.ApplyFaceGuidance.execute(
                model, vae, Chain(tuple(terms)), pair.target.image, mask,
                gradient=gradient, strength=0.0, guide_every=1,
            ).args[0]  # fmt: skip
            latent = vae.encode(pair.target.image)
            noise = blending.RowNoise(SEED).generate_noise({"samples": latent})
            drawn = comfy.sample.sample_custom(
                model, noise, 1.0, sampler, sigmas, *conditions, latent,
                noise_mask=noise_mask, disable_pbar=True, seed=SEED,
            )  # fmt: skip
            return native.KeepBackground.execute(pair.target.image, vae.decode(drawn), mask).args[0]

    whole, euler = torch.ones(1, SIZE, SIZE), comfy.samplers.sampler_object("euler")
    blend = blending.BlendSampler(eta=0.0, ramp_end=0.7)
    for gradient in ("estimate", "network"):
        wanted = ours(whole, gradient, ramp_end=0.0).images[:, 0]
        drawn = theirs(whole, gradient, euler)
        free = (drawn - wanted).abs()
        wanted = ours(face, gradient, ramp_end=0.7).images[:, 0]
        held = (theirs(face, gradient, blend, face[:, None]) - wanted).abs()
        sys.stdout.write(f"{gradient}: {free.max():.1e} free, {held.max():.1e} with a mask\n")
        assert free.max() < 1e-5 and held.max() < 1e-2


if __name__ == "__main__":
    main()
