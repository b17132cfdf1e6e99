"""How the tensors of each family become a model of the editor, with the input it was trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import BISENET_CLASSES, PARSENET_CLASSES, FaceParser
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

DEFAULT_FACENET_SIZE = 160
DEFAULT_PARSER_SIZE = 512


@dataclass(frozen=True)
class Recipe:
    """A family's configuration, network and model; all sizes are read from the tensors."""

    configure: Callable[[Mapping[str, Tensor]], Any]
    network: Callable[[Any], nn.Module]
    model: Callable[[Any, Config], Any]  # the network with its values, the file's config
    channels_last: bool = True


def _encoder(normalise: Callable[[Tensor], Tensor]) -> Callable[[Any, Config], IdentityEncoder]:
    """An encoder whose network knows the size of its input."""
    return lambda network, config: IdentityEncoder(network, network.config.input_size, normalise)


def _facenet(network: FaceNet, config: Config) -> IdentityEncoder:
    return IdentityEncoder(network, config.get("size", DEFAULT_FACENET_SIZE), facenet_normalise)


def _bisenet(network: BiSeNet, config: Config) -> FaceParser:
    _require_classes(network.config.num_classes)
    return FaceParser(network, config.get("size", DEFAULT_PARSER_SIZE), classes=BISENET_CLASSES)


def _parsenet(network: ParseNet, config: Config) -> FaceParser:
    _require_classes(network.config.num_classes)
    size = config.get("size", DEFAULT_PARSER_SIZE)
    return FaceParser(network, size, normalise=unchanged, classes=PARSENET_CLASSES)


def _require_classes(count: int) -> None:
    expected = len(BISENET_CLASSES)
    if count != expected:
        raise ValueError(f"got {count} classes: expected CelebAMask-HQ's {expected}")


RECIPES: Mapping[str, Recipe] = {  # by family
    "ArcFace ResNet": Recipe(IResNetConfig.from_state_dict, IResNet, _encoder(imagenet_normalise)),
    "insightface ResNet": Recipe(
        InsightFaceConfig.from_state_dict, InsightFace, _encoder(unchanged)
    ),
    "IR-SE": Recipe(IRSEConfig.from_state_dict, IRSE, _encoder(blue_first)),
    "FaceNet": Recipe(FaceNetConfig.from_state_dict, FaceNet, _facenet),
    "BiSeNet": Recipe(BiSeNetConfig.from_state_dict, BiSeNet, _bisenet),
    "ParseNet": Recipe(ParseNetConfig.from_state_dict, ParseNet, _parsenet),
    "EyeNet": Recipe(
        EyeNetConfig.from_state_dict,
        EyeNet,
        lambda network, config: EyeGazeEstimator(network),
        channels_last=False,
    ),
    "L2CS-Net": Recipe(
        L2CSConfig.from_state_dict, L2CS, lambda network, config: FaceGazeEstimator(network)
    ),
}
