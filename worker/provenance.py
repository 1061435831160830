"""Provenance: each delivered picture says how it was made, in XMP and, with a certificate, C2PA.

    python -m worker.provenance verify FILE     prints what the file says; 0 when all of it holds

C2PA signs last: any change after it breaks the seal. Only public facts go into the file.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from models import xmp
from models.errors import EngineFailed, InvalidInput
from models.settings import settings
from models.xmp import SourceType, Statement

PRODUCT = "Estilista virtual"
MIME = "image/jpeg"
SOURCE_TYPE_OF: dict[str, SourceType] = {
    "drape": "compositeSynthetic",  # computer-made, and no trained model had a part in it
    "sdxl_inpaint": "compositeWithTrainedAlgorithmicMedia",
    "sdxl_full": "trainedAlgorithmicMedia",
    "mock": "algorithmicMedia",
}


@dataclass(frozen=True)
class Seal:
    """What a file's C2PA manifest turned out to be."""

    state: str  # Valid, Trusted or Invalid, as the C2PA specification has them
    issuer: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """The bytes are those that were signed; whether to trust the signer is another matter."""
        return self.state in ("Valid", "Trusted")


def with_provenance(jpeg: bytes, cut: str, engine: str) -> bytes:
    """The JPEG with its provenance embedded, read back, and signed if there is a certificate.

    Raises EngineFailed when it does not hold, or for an engine whose pictures we cannot name."""
    if engine not in SOURCE_TYPE_OF:
        raise EngineFailed(f"no digital source type is known for pictures of {engine}")
    title, tool = f"{PRODUCT}: {cut}", f"{PRODUCT} ({engine.replace('_', ' ')})"
    statement = Statement(title, tool, SOURCE_TYPE_OF[engine])
    described = xmp.embed(jpeg, statement)
    delivered = _signed(described, statement) if settings().c2pa_certificate else described
    if xmp.read(delivered) != statement:
        raise EngineFailed("the picture does not say what it should about its making")
    return delivered


def _signed(jpeg: bytes, statement: Statement) -> bytes:
    import c2pa

    try:
        without_thumbnails = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        builder = c2pa.Builder(_manifest(statement), context=c2pa.Context(without_thumbnails))
        sealed = io.BytesIO()
        builder.sign(c2pa.Signer.from_info(_signer_info()), MIME, io.BytesIO(jpeg), sealed)
    except c2pa.C2paError as error:
        raise EngineFailed(f"the picture could not be signed: {error}") from error
    return sealed.getvalue()


def _manifest(statement: Statement) -> dict[str, Any]:
    action = {"action": "c2pa.created", "digitalSourceType": statement.source_uri}
    return {
        "title": statement.title,
        "claim_generator_info": [{"name": PRODUCT, "version": settings().app_version}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }


@lru_cache(maxsize=1)
def _signer_info() -> Any:
    """The certificate chain (leaf first) and its P-256 key, read once."""
    import c2pa

    certificate, key = settings().c2pa_certificate, settings().c2pa_key
    if certificate is None or key is None:
        raise EngineFailed("there is no certificate to sign with")
    try:
        chain, secret = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise EngineFailed(f"{error.filename}: {error.strerror}") from error
    return c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, secret, None)


def seal_of(jpeg: bytes) -> Seal | None:
    """The verdict on the file's C2PA manifest, None when it has none. Needs c2pa-python."""
    import c2pa

    if not xmp.has_c2pa(jpeg):
        return None
    try:
        with c2pa.Reader(MIME, io.BytesIO(jpeg)) as reader:
            active = (reader.get_active_manifest() or {}).get("signature_info", {})
            status = json.loads(reader.json()).get("validation_status", [])
            state = str(reader.get_validation_state())
    except c2pa.C2paError as error:
        return Seal("Invalid", "", (str(error),))
    return Seal(state, active.get("issuer", ""), tuple(found["code"] for found in status))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.provenance", description=__doc__)
    parser.add_argument("command", choices=["verify"])
    parser.add_argument("file", type=Path)
    asked = parser.parse_args(arguments)
    try:
        return 0 if _report(asked.file.read_bytes()) else 1
    except OSError as error:
        print(f"{asked.file}: {error.strerror}", file=sys.stderr)
    except InvalidInput as error:
        print(f"{asked.file}: {error}", file=sys.stderr)
    return 1


def _report(jpeg: bytes) -> bool:
    statement = xmp.read(jpeg)
    if statement is None:
        print("XMP: says nothing about how the picture was made")
    else:
        print(f"XMP: {statement.title}", f"     made with {statement.creator_tool}", sep="\n")
        print(f"     {statement.source_uri}")
    return _report_seal(jpeg) and statement is not None


def _report_seal(jpeg: bytes) -> bool:
    if not xmp.has_c2pa(jpeg):
        print("C2PA: not signed")
        return True
    try:
        seal = seal_of(jpeg)
    except ImportError:
        print("C2PA: signed, NOT CHECKED: install requirements-c2pa.txt")
        return False
    assert seal is not None  # noqa: S101 (it has a manifest)
    print(f"C2PA: {seal.state}, signed by {seal.issuer or 'nobody known'}")
    for problem in seal.problems:
        print(f"      {problem}")
    return seal.holds


if __name__ == "__main__":
    sys.exit(main())
