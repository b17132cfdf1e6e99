"""How the tensors of each family become a model of the editor, with the input it was trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..face.gaze import EyeGazeEstimator, FaceGazeEstimator
from ..face.identity import IdentityEncoder
from ..face.parsing import BISENET_CLASSES, PARSENET_CLASSES, FaceParser
from ..images import blue_first, facenet_normalise, imagenet_normalise, unchanged
from ..models import bisenet, eyenet, facenet, insightface, ir_se, iresnet, l2cs, parsenet

Told = Mapping[str, Any]  # what a file's config says; `size` is the input's side in pixels

FACENET_SIZE = 160
PARSER_SIZE = 512


@dataclass(frozen=True)
class Recipe:
    """A family's configuration, network and model; all sizes are read from the tensors."""

    configure: Callable[[Mapping[str, Tensor]], Any]
    network: Callable[[Any], nn.Module]
    model: Callable[[Any, Told], Any]  # the network with its values, the file's config
    channels_last: bool = True  # as `loading.channels_last` lays out


def _encoder(normalise: Callable[[Tensor], Tensor]) -> Callable[[Any, Told], IdentityEncoder]:
    """An encoder whose network knows its input's size."""
    return lambda network, told: IdentityEncoder(network, network.config.input_size, normalise)


def _facenet(network: facenet.FaceNet, told: Told) -> IdentityEncoder:
    return IdentityEncoder(network, told.get("size", FACENET_SIZE), facenet_normalise)


def _bisenet(network: bisenet.BiSeNet, told: Told) -> FaceParser:
    _require_classes(network.config.num_classes)
    return FaceParser(network, told.get("size", PARSER_SIZE), classes=BISENET_CLASSES)


def _parsenet(network: parsenet.ParseNet, told: Told) -> FaceParser:
    _require_classes(network.config.num_classes)
    size = told.get("size", PARSER_SIZE)
    return FaceParser(network, size, normalise=unchanged, classes=PARSENET_CLASSES)


def _require_classes(count: int) -> None:
    expected = len(BISENET_CLASSES)
    if count != expected:
        raise ValueError(f"got {count} classes: expected CelebAMask-HQ's {expected}")


IDENTITY: Mapping[str, Recipe] = {
    "ArcFace ResNet": Recipe(
        iresnet.IResNetConfig.from_state_dict, iresnet.IResNet, _encoder(imagenet_normalise)
    ),
    "insightface ResNet": Recipe(
        insightface.InsightFaceConfig.from_state_dict, insightface.InsightFace, _encoder(unchanged)
    ),
    "IR-SE": Recipe(ir_se.IRSEConfig.from_state_dict, ir_se.IRSE, _encoder(blue_first)),
    "FaceNet": Recipe(facenet.FaceNetConfig.from_state_dict, facenet.FaceNet, _facenet),
}

PARSER: Mapping[str, Recipe] = {
    "BiSeNet": Recipe(bisenet.BiSeNetConfig.from_state_dict, bisenet.BiSeNet, _bisenet),
    "ParseNet": Recipe(parsenet.ParseNetConfig.from_state_dict, parsenet.ParseNet, _parsenet),
}

GAZE: Mapping[str, Recipe] = {
    "EyeNet": Recipe(
        eyenet.EyeNetConfig.from_state_dict,
        eyenet.EyeNet,
        lambda network, told: EyeGazeEstimator(network),
        channels_last=False,
    ),
    "L2CS-Net": Recipe(
        l2cs.L2CSConfig.from_state_dict, l2cs.L2CS, lambda network, told: FaceGazeEstimator(network)
    ),
}
