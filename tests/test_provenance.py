"""The metadata of an edited picture."""

import json
from xml.etree import ElementTree

import torch
from PIL import Image

from guided_face_edit.editor_core.images import write_png
from guided_face_edit.editor_core.provenance import picture_metadata

MARK = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


def test_an_edited_picture_says_so(tmp_path):
    metadata = picture_metadata({"seed": 3}, {"Model.pt": "ab" * 32})
    write_png(tmp_path / "a.png", torch.zeros(4, 4, 3), metadata)
    with Image.open(tmp_path / "a.png") as file:
        text = file.text
    packet = ElementTree.fromstring(text["XML:com.adobe.xmp"])
    marks = [element.get(MARK) for element in packet.iter() if element.get(MARK)]
    assert len(marks) == 1 and marks[0].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert json.loads(text["settings"]) == {"seed": 3}
    assert json.loads(text["models"]) == {"Model.pt": "ab" * 32}
