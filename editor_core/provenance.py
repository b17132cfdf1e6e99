"""What an edited picture says of itself: that it is one, with which settings, by which models."""

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
    """The text chunks that every edited PNG has: IPTC's mark, and what made it."""
    return {XMP_KEY: XMP, "Software": "Guided Face Edit"}


def picture_metadata(settings: Mapping[str, Any], models: Mapping[str, str]) -> dict[str, str]:
    """The text chunks of an edited PNG: IPTC's mark, the settings, SHA-256 by model file."""
    return {
        **edit_mark(),
        "settings": json.dumps(settings, allow_nan=False),
        "models": json.dumps(models),
    }
