"""The metadata of an edited picture: that it is one, its settings, and the models' hashes."""

import json
from collections.abc import Mapping
from typing import Any

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
XMP_KEY = "XML:com.adobe.xmp"  # the PNG text chunk that holds XMP (ISO 16684-1)
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def edit_mark() -> dict[str, str]:
    """The text chunks of every edited PNG: IPTC's digital source type, and the software."""
    return {XMP_KEY: XMP, "Software": "Guided Face Edit"}


def picture_metadata(settings: Mapping[str, Any], models: Mapping[str, str]) -> dict[str, str]:
    """The text chunks of an edited PNG, for `write_png`.

    Args:
        settings: The edit's settings, as JSON holds them.
        models: SHA-256 by name of the model file.
    """
    return {
        **edit_mark(),
        "settings": json.dumps(settings, allow_nan=False),
        "models": json.dumps(models),
    }
