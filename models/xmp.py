"""XMP in a JPEG: what a picture says about its own making, readable by any picture tool.

One APP1 segment (ISO 16684-1, XMP part 3, section 1.1.3), written and read here. It holds public
facts only, so that a copy can travel: no user, no prompt, no noise seed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from models.errors import InvalidInput

SOI, APP0, APP1, APP11, SOS = 0xD8, 0xE0, 0xE1, 0xEB, 0xDA
HEADER = b"http://ns.adobe.com/xap/1.0/\0"
SEGMENT_BYTES_MAX = 65_533  # the length field counts itself
IPTC_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DC = "http://purl.org/dc/elements/1.1/"
EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP = "http://ns.adobe.com/xap/1.0/"
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">
<rdf:Description rdf:about="" xmlns:dc="{dc}" xmlns:xmp="{xmp}" xmlns:Iptc4xmpExt="{ext}"
 dc:format="image/jpeg" xmp:CreatorTool={tool} Iptc4xmpExt:DigitalSourceType={source}>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""

# The terms of IPTC's vocabulary that pictures of this house can truthfully carry.
SourceType = Literal[
    "algorithmicMedia",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
]
SOURCE_TYPES: dict[str, SourceType] = {IPTC_SOURCES + term: term for term in get_args(SourceType)}


@dataclass(frozen=True)
class Statement:
    """What a picture says about its making."""

    title: str
    creator_tool: str  # product and engine
    source_type: SourceType

    @property
    def source_uri(self) -> str:
        return IPTC_SOURCES + self.source_type


def embed(jpeg: bytes, statement: Statement) -> bytes:
    """The JPEG with this statement in place of any it had; no pixel changes, and the same input
    gives the same bytes. Raises InvalidInput for what is no JPEG."""
    packet = PACKET.format(
        rdf=RDF,
        dc=DC,
        xmp=XMP,
        ext=EXT,
        title=escape(statement.title),
        tool=quoteattr(statement.creator_tool),
        source=quoteattr(statement.source_uri),
    )
    body = HEADER + packet.encode()
    if len(body) > SEGMENT_BYTES_MAX:
        raise InvalidInput("the statement does not fit into one XMP segment")
    segment = struct.pack(">BBH", 0xFF, APP1, len(body) + 2) + body
    plain = without_xmp(jpeg)
    at = next((s.end for s in segments(plain) if s.marker == APP0), 2)  # JFIF must come first
    return plain[:at] + segment + plain[at:]


def read(jpeg: bytes) -> Statement | None:
    """What the picture says about its making; None when it says nothing that we know. Raises
    InvalidInput for what is no JPEG, or when what it says cannot be read."""
    for segment in segments(jpeg):
        if segment.is_xmp:
            return _parsed(segment.body[len(HEADER) :])
    return None


def has_c2pa(jpeg: bytes) -> bool:
    """Whether a C2PA manifest is embedded: a JUMBF box in an APP11 segment. Says nothing about
    whether its signature is good."""
    return any(s.marker == APP11 and b"jumb" in s.body[:32] for s in segments(jpeg))


def without_xmp(jpeg: bytes) -> bytes:
    """The same JPEG without any XMP segment."""
    kept = bytearray(jpeg)
    for segment in reversed([s for s in segments(jpeg) if s.is_xmp]):
        del kept[segment.start : segment.end]
    return bytes(kept)


@dataclass(frozen=True)
class Segment:
    """A marker segment of a JPEG: bytes [start, end) of the file, `body` without its length."""

    marker: int
    start: int
    end: int
    body: bytes

    @property
    def is_xmp(self) -> bool:
        return self.marker == APP1 and self.body.startswith(HEADER)


def segments(jpeg: bytes) -> Iterator[Segment]:
    """The segments before the picture's data. Raises InvalidInput for what is no JPEG."""
    if jpeg[:2] != bytes((0xFF, SOI)):
        raise InvalidInput("not a JPEG")
    at = 2
    while True:
        if len(jpeg) < at + 4 or jpeg[at] != 0xFF:
            raise InvalidInput("the JPEG is broken before its picture begins")
        marker, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        end = at + 2 + length
        if length < 2 or end > len(jpeg):
            raise InvalidInput("the JPEG is cut off before its picture begins")
        yield Segment(marker, at, end, jpeg[at + 4 : end])
        if marker == SOS:
            return
        at = end


def _parsed(packet: bytes) -> Statement | None:
    """Reads both ways of writing a property, as an attribute and as an element."""
    if b"<!" in packet:  # a document type can make a small packet grow without end
        raise InvalidInput("the XMP packet declares a document type")
    try:
        tree = ElementTree.fromstring(packet.decode().strip("\ufeff\0 \n"))  # noqa: S314
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the XMP packet cannot be read: {error}") from error
    found: dict[str, str] = {}
    for about in tree.iter(f"{{{RDF}}}Description"):
        found |= about.attrib
        found |= {child.tag: "".join(child.itertext()).strip() for child in about}
    term = SOURCE_TYPES.get(found.get(f"{{{EXT}}}DigitalSourceType", ""))
    if term is None:
        return None
    return Statement(found.get(f"{{{DC}}}title", ""), found.get(f"{{{XMP}}}CreatorTool", ""), term)
