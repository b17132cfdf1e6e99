"""How the tensors of each family become a model of the editor, with the input it was trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ..face.identity import SAME_PERSON, IdentityEncoder
from ..face.landmarks import FaceLandmarker
from ..face.parsing import (
    BISENET_CLASSES,
    PARSENET_CLASSES,
    SEGFORMER_CLASSES,
    FaceParser,
    FacePart,
)
from ..face.templates import require_template
from ..images import blue_first, facenet_normalise, imagenet_normalise, unchanged
from ..models.adaface import AdaFace, AdaFaceConfig, network_alone
from ..models.attention_mesh import AttentionMesh, AttentionMeshConfig, with_own_names
from ..models.bisenet import BiSeNet, BiSeNetConfig, with_first_names
from ..models.configs import StateDict
from ..models.eyenet import EyeNet, EyeNetConfig
from ..models.face_mesh import FaceMesh, FaceMeshConfig, of_mesh
from ..models.facenet import FaceNet, FaceNetConfig
from ..models.insightface import InsightFace, InsightFaceConfig
from ..models.ir_se import IRSE, IRSEConfig
from ..models.iresnet import IResNet, IResNetConfig
from ..models.l2cs import L2CS, L2CSConfig, MobileGaze
from ..models.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from ..models.parsenet import ParseNet, ParseNetConfig
from ..models.segformer import SegFormer, SegFormerConfig
from ..models.sface import SFace, SFaceConfig
from .folders import segformer_config

Config = Mapping[str, Any]  # of a file; `size` is the side of the network's input in pixels
MakeModel = Callable[[Any, Config], Any]  # from the network with its values
Normalise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """A family's configuration, network and model; all sizes are read from the tensors."""

    network: Callable[[Any], nn.Module]
    config: Any  # the class of the network's configuration, with `from_state_dict`
    model: MakeModel
    channels_last: bool = True
    tensors: Callable[[StateDict], StateDict] = dict  # the network's, out of those of the file
    beside: Callable[[Path], Config] = lambda _: {}  # the config in a file beside the weights


def _encoder(
    normalise: Normalise,
    *,
    size: int | None = None,
    template: str = "arcface",
    same_person: float = SAME_PERSON,
) -> MakeModel:
    """An encoder, of the template and threshold of its family where its file says no other.

    Without `size` its network knows the size of its input; else the file may say another.
    """

    def model(network: Any, config: Config) -> IdentityEncoder:
        return IdentityEncoder(
            network,
            config.get("size", size) if size else network.config.input_size,
            normalise,
            template=require_template(config.get("template", template)),
            same_person=float(config.get("same_person", same_person)),
        )

    return model


def _parser(normalise: Normalise, classes: Sequence[FacePart]) -> MakeModel:
    """A parser of CelebAMask-HQ's classes, in the order of its network."""

    def model(network: Any, config: Config) -> FaceParser:
        count = network.config.num_classes
        if count != len(classes):
            raise ValueError(f"got {count} classes: expected CelebAMask-HQ's {len(classes)}")
        return FaceParser(network, config.get("size", 512), normalise, classes=classes)

    return model


def _segformer(network: Any, config: Config) -> FaceParser:
    """A parser that may say itself what its classes are."""
    classes = tuple(map(FacePart, config.get("classes", SEGFORMER_CLASSES)))
    if sorted(classes) != list(FacePart):
        raise ValueError(f"got the classes {classes}: expected each part of CelebAMask-HQ once")
    heads = network.config.heads
    if tuple(config.get("heads", heads)) != heads:
        raise ValueError(f"got {config['heads']} heads of attention: expected {heads}")
    return _parser(imagenet_normalise, classes)(network, config)


def _landmarker(network: Any, _: Config) -> FaceLandmarker:
    return FaceLandmarker(network)


# Identity distances of one person, where each family's own verification draws the line by default
# (`python -m tools.verification` measures it); a squared distance is twice as much:
CVLFACE_SAME_PERSON = 0.7  # a cosine of 0.3 (`apps/verification`)
INSIGHTFACE_SAME_PERSON = 0.6  # a cosine of 0.4 (`DEFAULT_THRESHOLD` of its package)
IR_SE_SAME_PERSON = 0.75  # a squared distance of 1.5 (`config.py` of InsightFace_Pytorch)
FACENET_SAME_PERSON = 0.62  # one of 1.242 on LFW (arXiv 1503.03832, section 5.6)
SFACE_SAME_PERSON = 0.637  # a cosine of 0.363 (`sface.py` of OpenCV's model zoo)

RECIPES: Mapping[str, Recipe] = {  # by family
    "ArcFace ResNet": Recipe(IResNet, IResNetConfig, _encoder(imagenet_normalise)),
    "insightface ResNet": Recipe(
        InsightFace,
        InsightFaceConfig,
        _encoder(unchanged, same_person=INSIGHTFACE_SAME_PERSON),
    ),
    "MobileFaceNet": Recipe(
        MobileFaceNet,
        MobileFaceNetConfig,
        _encoder(unchanged, same_person=INSIGHTFACE_SAME_PERSON),
    ),
    "SFace": Recipe(SFace, SFaceConfig, _encoder(unchanged, same_person=SFACE_SAME_PERSON)),
    "IR-SE": Recipe(IRSE, IRSEConfig, _encoder(blue_first, same_person=IR_SE_SAME_PERSON)),
    "FaceNet": Recipe(
        FaceNet,
        FaceNetConfig,
        _encoder(facenet_normalise, size=160, template="mtcnn", same_person=FACENET_SAME_PERSON),
    ),
    "CVLface IR": Recipe(
        AdaFace,
        AdaFaceConfig,
        _encoder(unchanged, same_person=CVLFACE_SAME_PERSON),
        tensors=network_alone,
    ),
    "AdaFace IR": Recipe(
        AdaFace,
        AdaFaceConfig,
        _encoder(blue_first, same_person=CVLFACE_SAME_PERSON),
        tensors=network_alone,
    ),
    "BiSeNet": Recipe(BiSeNet, BiSeNetConfig, _parser(imagenet_normalise, BISENET_CLASSES)),
    "BiSeNet of yakhyo": Recipe(
        BiSeNet,
        BiSeNetConfig,
        _parser(imagenet_normalise, BISENET_CLASSES),
        tensors=with_first_names,
    ),
    "ParseNet": Recipe(ParseNet, ParseNetConfig, _parser(unchanged, PARSENET_CLASSES)),
    "SegFormer": Recipe(SegFormer, SegFormerConfig, _segformer, beside=segformer_config),
    "EyeNet": Recipe(
        EyeNet,
        EyeNetConfig,
        lambda network, config: EyeGazeEstimator(network, config.get("frame", "camera")),
        channels_last=False,
    ),
    "L2CS-Net": Recipe(L2CS, L2CSConfig, lambda network, _: FaceGazeEstimator(network)),
    "MobileGaze": Recipe(MobileGaze, L2CSConfig, lambda network, _: FaceGazeEstimator(network)),
    "FaceMesh v2": Recipe(FaceMesh, FaceMeshConfig, _landmarker, False, of_mesh),
    "Attention Mesh": Recipe(
        AttentionMesh, AttentionMeshConfig, _landmarker, False, with_own_names
    ),
}
