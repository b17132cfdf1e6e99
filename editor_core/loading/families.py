"""Which family of networks a checkpoint is of, by the names of its tensors."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..checkpoints.errors import UnsupportedCheckpoint
from ..checkpoints.reading import Checkpoint


@dataclass(frozen=True)
class Family:
    """Networks of one layout, known by names that all of them have and no other family has."""

    name: str
    kind: str  # what it does: diffusion, identity, parser, gaze, lpips, landmarks or clip
    marks: tuple[str, ...]
    other_marks: tuple[str, ...] = ()  # where such files come under other names too

    def fits(self, names: set[str]) -> bool:
        found = (marks for marks in (self.marks, self.other_marks) if marks)
        return any(names.issuperset(marks) for marks in found)


UNCONDITIONAL = "mid_block.attentions.0.group_norm.weight"  # U-Nets of text have another there

FAMILIES = (
    Family("ADM U-Net", "diffusion", ("time_embed.0.weight", "input_blocks.0.0.weight")),
    Family(
        "diffusers U-Net",
        "diffusion",
        ("conv_norm_out.weight", "down_blocks.0.resnets.0.conv1.weight", UNCONDITIONAL),
    ),
    Family("BiSeNet", "parser", ("cp.resnet.conv1.weight", "ffm.convblk.conv.weight")),
    Family(
        "BiSeNet of yakhyo",
        "parser",
        ("fpn.backbone.conv1.weight", "ffm.conv_block.conv.weight"),
    ),
    Family("ParseNet", "parser", ("encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight")),
    Family(
        "SegFormer",
        "parser",
        ("segformer.encoder.layer_norm.0.weight", "decode_head.linear_fuse.weight"),
    ),
    Family("ArcFace ResNet", "identity", ("layer1.0.bn0.weight", "fc.weight", "bn3.weight")),
    Family("insightface ResNet", "identity", ("layer1.0.bn3.weight", "features.weight")),
    Family("insightface ResNet", "identity", ("layer1.0.conv1.bias", "fc.bias")),  # folded
    Family("MobileFaceNet", "identity", ("conv_sep.layers.0.weight", "features.layers.2.weight")),
    Family("SFace", "identity", ("stem.conv.weight", "blocks.0.pointwise.weight", "fc.weight")),
    Family("IR-SE", "identity", ("input_layer.0.weight", "body.0.res_layer.4.running_mean")),
    Family(
        "CVLface IR",
        "identity",
        ("net.input_layer.0.weight", "net.body.0.res_layer.5.running_mean"),
    ),
    Family(
        "AdaFace IR",
        "identity",
        ("model.input_layer.0.weight", "model.body.0.res_layer.5.running_mean"),
    ),
    Family(  # its network alone
        "AdaFace IR", "identity", ("input_layer.0.weight", "body.0.res_layer.5.running_mean")
    ),
    Family("FaceNet", "identity", ("conv2d_1a.conv.weight", "mixed_6a.branch0.conv.weight")),
    Family("EyeNet", "gaze", ("pre.0.conv.weight", "outs.0.conv.weight", "gaze_fc2.weight")),
    Family("L2CS-Net", "gaze", ("fc_yaw_gaze.weight", "layer1.0.conv2.weight")),
    Family("MobileGaze", "gaze", ("fc_yaw.weight", "layer1.0.conv2.weight")),
    Family("SqueezeNet 1.1", "lpips", ("features.0.weight", "features.12.squeeze.weight")),
    Family("VGG-16", "lpips", ("features.0.weight", "features.28.weight")),
    Family("AlexNet", "lpips", ("features.0.weight", "features.10.weight")),
    Family("FaceMesh v2", "landmarks", ("mesh.stem.weight", "mesh.head_block.prelu_dwise.weight")),
    Family(
        "Attention Mesh",
        "landmarks",
        ("mesh.stem.weight", "left.heads.iris.landmarks.weight"),
        ("output_mesh/Kernel", "conv_left_iris/Kernel"),
    ),
    Family("CLIP", "clip", ("visual_projection.weight", "text_projection.weight")),
)

UNSUPPORTED = {  # by one name that gives each away
    "down_blocks.0.attentions.0.transformer_blocks.0.norm1.weight": "a diffusers U-Net of text",
    "temb.dense.0.weight": "an SDEdit U-Net",
    "conv2_dw.conv.weight": "InsightFace_Pytorch's MobileFaceNet",
    "segformer.encoder.layer_norm.0.weight": "a SegFormer that classifies whole pictures",
    "gaze_fc.0.weight": "ETH-XGaze",
    "vit.patch_embed.proj.weight": "UniGaze",
    "fc_yaw.weight": "MobileGaze on a MobileNet or MobileOne",
    "lin0.model.1.weight": "the heads of LPIPS, which the lpips package brings along",
    "ClassHead.0.conv1x1.weight": "a RetinaFace detector",
    **{f"{name}.weight": "an MTCNN detector" for name in ("conv4_1", "dense5_1", "dense6_1")},
    "layer2.0.downsample.0.weight": "a ResNet of torchvision",
    "conv_eyes_contours_and_brows/Kernel": "MediaPipe's network of irises alone",
    "classificator_8/Kernel": "MediaPipe's detector of faces",
    "conv2d_31/Kernel": "a network of MediaPipe's that finds no irises",
}


def detect(names: Iterable[str]) -> Family:
    """The family of a checkpoint, from its tensors or their names alone."""
    present = set(map(str, names))
    for family in FAMILIES:
        if family.fits(present):
            return family
    known = (name for mark, name in UNSUPPORTED.items() if mark in present)
    examples = ", ".join(sorted(present)[:3]) or "none"
    found = next(known, f"{len(present)} tensors of no known layout ({examples})")
    raise UnsupportedCheckpoint(
        f"expected one of {', '.join(dict.fromkeys(family.name for family in FAMILIES))}, "
        f"got {found}: choose a file of a supported network"
    )


def family_of(checkpoint: Checkpoint) -> Family:
    """The family of a model file; an error names the file."""
    try:
        return detect(checkpoint.tensors)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{checkpoint.path}: {error}") from error
