"""The published files that people have, one entry each; None is unknown, never a guess."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ADM_CONFIG = {"attention_order": "legacy", "schedule": "linear", "diffusion_steps": 1000}


@dataclass(frozen=True)
class KnownFile:
    """A published file."""

    name: str  # begins with its folder where others have the same name
    kind: str  # what it does: one of the loaders' kinds, or another word
    licence: str
    origin: str
    size: int | None = None  # bytes
    sha256: str | None = None
    aliases: tuple[str, ...] = ()  # other names of the very same file
    url: str | None = None  # of the file itself
    config: Mapping[str, Any] = field(default_factory=dict)  # what its tensors leave open
    loads: bool = True  # whether the editor has a network for it


DIFFFACE_ORIGIN = "github.com/hxngiee/DiffFace"
P2 = "github.com/jychoi118/P2-weighting"
SIMSWAP = "github.com/neuralchen/SimSwap, release 1.0"
FACEXLIB = "github.com/xinntao/facexlib"
RELEASED = "https://github.com/xinntao/facexlib/releases/download"
HUGGING_FACE = "https://huggingface.co"
NON_COMMERCIAL = "CC BY-NC 4.0 (non-commercial)"
INSIGHTFACE = "non-commercial research"
CELEBAMASK = "MIT, trained on the non-commercial CelebAMask-HQ"
NONE_STATED = "none stated"

DIFFUSION_FILES = (
    KnownFile("Model.pt", "diffusion", NON_COMMERCIAL, DIFFFACE_ORIGIN),
    KnownFile(
        "256x256_diffusion_uncond.pt",
        "diffusion",
        "MIT",
        "openaipublic.blob.core.windows.net/diffusion/jul-2021",
        2_211_383_297,
        "a37c32fffd316cd494cf3f35b339936debdc1576dad13fe57c42399a5dbc78b1",
        url="https://openaipublic.blob.core.windows.net/diffusion/jul-2021/"
        "256x256_diffusion_uncond.pt",
        config={**ADM_CONFIG, "head_channels": 64, "image_size": 256},
    ),
    KnownFile(
        "ffhq_10m.pt",
        "diffusion",
        NONE_STATED,
        "drive.google.com/drive/folders/1jElnRoFv7b31fG0v6pTSQkelbSX3xGZh",
    ),
    KnownFile("ffhq_p2.pt", "diffusion", "MIT", P2),
    KnownFile("ffhq_baseline.pt", "diffusion", "MIT", P2),
    KnownFile("celebahq_p2.pt", "diffusion", "MIT", P2),
    KnownFile(
        "portrait_generator_v001_ema_0.9999_1MM.pt",
        "diffusion",
        "unknown",
        "huggingface.co/felipe3dartist/portrait_generator_v001",
        sha256="b7e8c747af880d4480b6707006f1ace000b058dd0eac5bb13558ba3752d9b5b9",
        url=f"{HUGGING_FACE}/felipe3dartist/portrait_generator_v001/resolve/main/"
        "portrait_generator_v001_ema_0.9999_1MM.pt",
        config={**ADM_CONFIG, "num_heads": 4, "image_size": 512},
    ),
    *(
        KnownFile(
            f"{name}/diffusion_pytorch_model.bin",
            "diffusion",
            "Apache-2.0",
            f"huggingface.co/google/{name}",
            url=f"{HUGGING_FACE}/google/{name}/resolve/main/diffusion_pytorch_model.bin",
        )
        for name in ("ddpm-celebahq-256", "ddpm-ema-celebahq-256")
    ),
    KnownFile(
        "celeba_hq.ckpt", "diffusion", "unknown", "github.com/ermongroup/SDEdit", loads=False
    ),
)

IDENTITY_FILES = (
    KnownFile("Arcface.tar", "identity", NON_COMMERCIAL, DIFFFACE_ORIGIN),
    KnownFile(
        "arcface_checkpoint.tar",
        "identity",
        NON_COMMERCIAL,
        SIMSWAP,
        url="https://github.com/neuralchen/SimSwap/releases/download/1.0/arcface_checkpoint.tar",
    ),
    KnownFile(
        "recognition_arcface_ir_se50.pth",
        "identity",
        "MIT, trained on MS1M",
        f"{FACEXLIB}, release v0.1.0",
        sha256="a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        aliases=("model_ir_se50.pth",),
        url=f"{RELEASED}/v0.1.0/recognition_arcface_ir_se50.pth",
    ),
    KnownFile(
        "backbone.pth",
        "identity",
        INSIGHTFACE,
        "github.com/deepinsight/insightface, recognition/arcface_torch",
    ),
    KnownFile(
        "w600k_r50.onnx",
        "identity",
        INSIGHTFACE,
        "github.com/deepinsight/insightface, release v0.7, in buffalo_l.zip",
        174_383_860,
        "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        loads=False,
    ),
    KnownFile(
        "20180402-114759-vggface2.pt",
        "identity",
        "MIT, trained on VGGFace2",
        "github.com/timesler/facenet-pytorch, release v2.2.9",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
        "20180402-114759-vggface2.pt",
    ),
    KnownFile(
        "cvlface_adaface_ir101_webface12m/model.safetensors",
        "identity",
        "MIT, with terms of its training data",
        "huggingface.co/minchul/cvlface_adaface_ir101_webface12m",
        aliases=("cvlface_adaface_ir101_webface12m/pretrained_model/model.pt",),
        loads=False,
    ),
)

PARSER_FILES = (
    KnownFile("FaceParser.pth", "parser", CELEBAMASK, DIFFFACE_ORIGIN),
    KnownFile(
        "79999_iter.pth",
        "parser",
        CELEBAMASK,
        f"{FACEXLIB}, release v0.2.0, as parsing_bisenet.pth",
        53_289_463,
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        aliases=("parsing_bisenet.pth",),
        url=f"{RELEASED}/v0.2.0/parsing_bisenet.pth",
    ),
    KnownFile(
        "parsing_parsenet.pth",
        "parser",
        "MIT",
        f"{FACEXLIB}, release v0.2.2",
        85_331_193,
        "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        url=f"{RELEASED}/v0.2.2/parsing_parsenet.pth",
    ),
    KnownFile(
        "face-parsing/model.safetensors",
        "parser",
        "non-commercial research and education",
        "huggingface.co/jonathandinu/face-parsing",
        338_580_732,
        "c2bec795a8c243db71bd95be538fd62559003566466c71237e45c99b920f4b62",
        url=f"{HUGGING_FACE}/jonathandinu/face-parsing/resolve/"
        "758b82e15a0178c9db39c1ff666a8b56e3a550c8/model.safetensors",
        loads=False,
    ),
)

GAZE_FILES = (
    KnownFile("GazeEstimator.pt", "gaze", NONE_STATED, DIFFFACE_ORIGIN),
    KnownFile(
        "checkpoint.pt",
        "gaze",
        NONE_STATED,
        "drive.google.com/file/d/17aJAUAIl-1VPvJcPeahH8MQrcLRpy9Li, of david-wb/gaze-estimation",
    ),
    KnownFile(
        "L2CSNet_gaze360.pkl",
        "gaze",
        "MIT",
        "drive.google.com/drive/folders/17p6ORr-JQJcw-eYtG2WGNiuS_qVKwdWd",
        95_849_977,
        "8a7f3480d868dd48261e1d59f915b0ef0bb33ea12ea00938fb2168f212080665",
    ),
    KnownFile(
        "epoch_24_ckpt.pth.tar",
        "gaze",
        "CC BY-NC-SA 4.0 (non-commercial)",
        "drive.google.com/file/d/1Ma6zJrECNTjo_mToZ5GKk7EF-0FS4nEC, of xucong-zhang/ETH-XGaze",
        loads=False,
    ),
    *(
        KnownFile(
            f"unigaze_{size}_joint.safetensors",
            "gaze",
            "MG-NC-RAI-2.0 (non-commercial)",
            "huggingface.co/UniGaze/UniGaze-models",
            loads=False,
        )
        for size in ("b16", "l16", "h14")
    ),
)

LPIPS_FILES = (
    KnownFile(
        "vgg16-397923af.pth",
        "lpips",
        "BSD-3-Clause",
        "download.pytorch.org/models",
        553_433_881,
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
)

OTHER_FILES = (  # which the editor does not load, here so that they are not taken for others
    KnownFile(
        "v0.1/vgg.pth",
        "lpips heads",
        "BSD-2-Clause",
        "inside the package lpips",
        7_289,
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        loads=False,
    ),
    KnownFile(
        "v0.1/alex.pth",
        "lpips heads",
        "BSD-2-Clause",
        "inside the package lpips",
        6_009,
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        loads=False,
    ),
    KnownFile(
        "resnet18-5c106cde.pth",
        "backbone",
        "BSD-3-Clause",
        "download.pytorch.org/models",
        46_827_520,
        loads=False,
    ),
    KnownFile(
        "detection_Resnet50_Final.pth",
        "detector",
        "MIT",
        f"{FACEXLIB}, release v0.1.0",
        109_497_761,
        "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        loads=False,
    ),
    *(
        KnownFile(name, "detector", "MIT", "inside the package facenet-pytorch", size, loads=False)
        for name, size in (("pnet.pt", 28_570), ("rnet.pt", 403_147), ("onet.pt", 1_559_269))
    ),
)

KNOWN_FILES = (
    *DIFFUSION_FILES,
    *IDENTITY_FILES,
    *PARSER_FILES,
    *GAZE_FILES,
    *LPIPS_FILES,
    *OTHER_FILES,
)
