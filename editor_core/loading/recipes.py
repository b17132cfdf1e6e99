"""How the tensors of each family become a model of the editor, with the input it was trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import BISENET_CLASSES, PARSENET_CLASSES, FaceParser, FacePart
from ..images import blue_first, facenet_normalise, imagenet_normalise, unchanged
from ..models.bisenet import BiSeNet, BiSeNetConfig
from ..models.eyenet import EyeNet, EyeNetConfig
from ..models.facenet import FaceNet, FaceNetConfig
from ..models.insightface import InsightFace, InsightFaceConfig
from ..models.ir_se import IRSE, IRSEConfig
from ..models.iresnet import IResNet, IResNetConfig
from ..models.l2cs import L2CS, L2CSConfig
from ..models.parsenet import ParseNet, ParseNetConfig

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


def _encoder(normalise: Normalise, default_size: int | None = None) -> MakeModel:
    """An encoder whose network knows the size of its input, or whose file may give it."""

    def model(network: Any, config: Config) -> IdentityEncoder:
        size = config.get("size", default_size) if default_size else network.config.input_size
        return IdentityEncoder(network, size, normalise)

    return model


def _parser(normalise: Normalise, classes: Sequence[FacePart]) -> MakeModel:
    """A parser of CelebAMask-HQ's classes, in the order of its network."""

    def model(network: Any, config: Config) -> FaceParser:
        count = network.config.num_classes
        if count != len(classes):
            raise ValueError(f"got {count} classes: expected CelebAMask-HQ's {len(classes)}")
        return FaceParser(network, config.get("size", 512), normalise, classes=classes)

    return model


RECIPES: Mapping[str, Recipe] = {  # by family
    "ArcFace ResNet": Recipe(IResNet, IResNetConfig, _encoder(imagenet_normalise)),
    "insightface ResNet": Recipe(InsightFace, InsightFaceConfig, _encoder(unchanged)),
    "IR-SE": Recipe(IRSE, IRSEConfig, _encoder(blue_first)),
    "FaceNet": Recipe(FaceNet, FaceNetConfig, _encoder(facenet_normalise, default_size=160)),
    "BiSeNet": Recipe(BiSeNet, BiSeNetConfig, _parser(imagenet_normalise, BISENET_CLASSES)),
    "ParseNet": Recipe(ParseNet, ParseNetConfig, _parser(unchanged, PARSENET_CLASSES)),
    "EyeNet": Recipe(
        EyeNet, EyeNetConfig, lambda network, _: EyeGazeEstimator(network), channels_last=False
    ),
    "L2CS-Net": Recipe(L2CS, L2CSConfig, lambda network, _: FaceGazeEstimator(network)),
}
