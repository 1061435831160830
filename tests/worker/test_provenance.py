"""Delivered pictures say how they were made: in XMP always, signed by C2PA where there is a key."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image

from models import xmp
from models.errors import EngineFailed, InvalidInput
from models.settings import Settings
from models.storage import storage
from tests.certificates import Chain, make_chain
from tests.orders import place, sql
from worker import provenance
from worker.provenance import main, with_provenance

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """A picture that no compression makes trivial."""
    noise = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=92)
    return file.getvalue()


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain()


@pytest.fixture
def with_a_certificate(
    chain: Chain, tmp_path: Path, setting: Callable[..., None]
) -> Iterator[Path]:
    """Signing is set up; yields where the certificate lies."""
    pytest.importorskip("c2pa", reason="requirements-c2pa.txt is not installed")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(chain.certificates)
    key.write_bytes(chain.key)
    setting(c2pa_certificate=certificate, c2pa_key=key)
    provenance._signer_info.cache_clear()
    yield certificate
    provenance._signer_info.cache_clear()


def pixels(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(content)))


def verify(content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    (folder / "picture.jpg").write_bytes(content)
    code = main(["verify", str(folder / "picture.jpg")])
    return code, "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("engine", "term"),
    [
        ("drape", "compositeSynthetic"),
        ("sdxl_inpaint", "compositeWithTrainedAlgorithmicMedia"),
        ("sdxl_full", "trainedAlgorithmicMedia"),
        ("mock", "algorithmicMedia"),
    ],
)
def test_each_engine_s_pictures_name_their_digital_source(
    jpeg: bytes, engine: str, term: str
) -> None:
    said = xmp.read(with_provenance(jpeg, "recto", engine))
    assert said is not None
    assert said.source_uri == IPTC + term
    assert said.title == "Estilista virtual: recto"


def test_an_engine_without_a_known_source_publishes_nothing(jpeg: bytes) -> None:
    with pytest.raises(EngineFailed):
        with_provenance(jpeg, "recto", "another")


def test_another_picture_tool_reads_the_same(jpeg: bytes) -> None:
    described = with_provenance(jpeg, "recto", "drape")
    packet = Image.open(io.BytesIO(described)).info["xmp"].decode()
    assert f'Iptc4xmpExt:DigitalSourceType="{IPTC}compositeSynthetic"' in packet
    assert 'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"' in packet
    assert '<rdf:li xml:lang="x-default">Estilista virtual: recto</rdf:li>' in packet


def test_no_pixel_changes_and_the_bytes_are_always_the_same(jpeg: bytes) -> None:
    described = with_provenance(jpeg, "recto", "drape")
    assert np.array_equal(pixels(described), pixels(jpeg))
    assert described == with_provenance(jpeg, "recto", "drape")
    assert xmp.without_xmp(described) == jpeg
    assert described[2:4] == jpeg[2:4] == b"\xff\xe0"  # JFIF stays first


def test_a_second_statement_takes_the_first_one_s_place(jpeg: bytes) -> None:
    first = xmp.Statement("uno", "x", "compositeSynthetic")
    second = xmp.Statement('"dos" & <tres>', "y", "algorithmicMedia")
    assert xmp.read(xmp.embed(xmp.embed(jpeg, first), second)) == second
    assert xmp.embed(xmp.embed(jpeg, first), second) == xmp.embed(jpeg, second)


def test_properties_written_as_elements_are_read_as_well(jpeg: bytes) -> None:
    """As exiftool and others write them."""
    ours = xmp.embed(jpeg, xmp.Statement("uno", "dos", "compositeSynthetic"))
    found = re.search(rb' Iptc4xmpExt:DigitalSourceType="([^"]*)">', ours)
    assert found is not None
    name = b"Iptc4xmpExt:DigitalSourceType"
    element = b"><" + name + b">" + found[1] + b"</" + name + b">"
    theirs = ours.replace(found[0], element)
    at = theirs.index(xmp.HEADER) - 2
    size = int.from_bytes(ours[at : at + 2], "big") + len(theirs) - len(ours)
    theirs = theirs[:at] + size.to_bytes(2, "big") + theirs[at + 2 :]
    assert xmp.read(theirs) == xmp.read(ours)


@pytest.mark.parametrize("cut_at", [0, 1, 2, 3, 5, 15, 22, 200])
def test_a_broken_file_is_an_error_and_never_a_statement(jpeg: bytes, cut_at: int) -> None:
    with pytest.raises(InvalidInput):
        xmp.read(with_provenance(jpeg, "recto", "drape")[:cut_at])


def test_a_packet_with_a_document_type_is_refused(jpeg: bytes) -> None:
    bomb = xmp.embed(jpeg, xmp.Statement("a" * 40, "x", "compositeSynthetic"))
    bomb = bomb.replace(b"a" * 40, b"<!DOCTYPE x [<!ENTITY a 'aaaaaa'>]>".ljust(40))
    with pytest.raises(InvalidInput):
        xmp.read(bomb)


def test_a_statement_too_long_for_its_segment_is_refused(jpeg: bytes) -> None:
    with pytest.raises(InvalidInput):
        xmp.embed(jpeg, xmp.Statement("a" * 70_000, "x", "compositeSynthetic"))


def test_verify_tells_a_picture_that_says_nothing(
    jpeg: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(jpeg, tmp_path, capsys)[0] == 1
    code, report = verify(with_provenance(jpeg, "recto", "drape"), tmp_path, capsys)
    assert code == 0
    assert f"{IPTC}compositeSynthetic" in report
    assert "not signed" in report
    assert verify(b"no picture", tmp_path, capsys)[0] == 1
    assert main(["verify", str(tmp_path / "gone.jpg")]) == 1


@pytest.mark.usefixtures("with_a_certificate")
def test_with_a_certificate_the_picture_is_signed_last(
    jpeg: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = with_provenance(jpeg, "recto", "sdxl_inpaint")
    assert np.array_equal(pixels(signed), pixels(jpeg))
    seal = provenance.seal_of(signed)
    assert seal is not None
    assert (seal.state, seal.issuer) == ("Valid", "Sastrería de pruebas")
    assert seal.problems == ("signingCredential.untrusted",)  # a test's own issuer
    code, report = verify(signed, tmp_path, capsys)
    assert code == 0
    assert "C2PA: Valid, signed by Sastrería de pruebas" in report
    assert len(signed) - len(jpeg) < 20_000  # no thumbnail


@pytest.mark.usefixtures("with_a_certificate")
def test_one_flipped_bit_breaks_the_seal(
    jpeg: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = bytearray(with_provenance(jpeg, "recto", "drape"))
    broken[-200] ^= 1
    code, report = verify(bytes(broken), tmp_path, capsys)
    assert code == 1
    assert "Invalid" in report
    assert "assertion.dataHash.mismatch" in report


def test_a_certificate_that_cannot_be_read_publishes_nothing(
    jpeg: bytes, with_a_certificate: Path
) -> None:
    with_a_certificate.unlink()
    with pytest.raises(EngineFailed, match=r"chain\.pem"):
        with_provenance(jpeg, "recto", "drape")


def test_half_a_signature_s_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="C2PA_KEY"):
        Settings(c2pa_certificate=tmp_path / "chain.pem")


def test_the_stored_file_says_how_it_was_made_and_nothing_private(
    work: Callable[[], int],
) -> None:
    place()
    assert work() == 1
    stored = storage().get(sql("SELECT object_key FROM images"))
    said = xmp.read(stored)
    assert said is not None
    assert said.source_type == "compositeSynthetic"
    head = stored[: stored.index(b"\xff\xdb")].decode("latin-1")
    owner, seed = sql("SELECT owner FROM generations"), sql("SELECT noise_seed FROM images")
    for private in (owner, str(seed), "prompt", "seed", str(sql("SELECT id FROM generations"))):
        assert private not in head


def test_the_api_tells_a_picture_s_provenance_from_its_stored_bytes(
    client: httpx.Client, work: Callable[[], int]
) -> None:
    place()
    work()
    id, sha256 = sql("SELECT id FROM images"), sql("SELECT sha256 FROM images")
    answer = client.get(f"/api/v1/images/{id}/provenance")
    assert answer.status_code == 200
    told = answer.json()
    assert told["digital_source_type"] == f"{IPTC}compositeSynthetic"
    assert (told["intact"], told["watermarked"], told["c2pa"]) == (True, True, False)
    assert (told["sha256"], told["engine"]) == (sha256, "drape")
    assert not {"recipe", "seed", "owner"} & set(told)


def test_a_stored_picture_with_other_bytes_is_told_from_what_was_published(
    client: httpx.Client, work: Callable[[], int]
) -> None:
    place()
    work()
    key = sql("SELECT object_key FROM images")
    other = xmp.embed(storage().get(key), xmp.Statement("otra", "otro taller", "algorithmicMedia"))
    storage().delete(key)
    storage().put(key, other, "image/jpeg")
    told = client.get(f"/api/v1/images/{sql('SELECT id FROM images')}/provenance").json()
    assert told["intact"] is False
    assert told["digital_source_type"] is None


def test_there_is_no_provenance_of_an_image_that_is_not_there(client: httpx.Client) -> None:
    answer = client.get(f"/api/v1/images/{uuid4()}/provenance")
    assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "not-found")
