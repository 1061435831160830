"""Weights by manifest: what is refused, what is fetched, and what a worker says that lacks them."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from models.errors import InvalidInput, StorageError
from models.settings import ROOT, Settings
from worker.weights import Shelf, WeightsMissing, manifest, needed, refuse_pickle

CONTENT = b"random numbers" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
REAL = ROOT / "assets" / "weights.toml"


def written(folder: Path, files: str) -> Path:
    path = folder / "weights.toml"
    path.write_text(
        '[[weights]]\nid = "some"\npurpose = "tests"\nrepository = "o/r"\nrevision = "abc"\n'
        'licence = "MIT"\ncommercial_ok = true\nvram_gb = 1.5\n[weights.files]\n' + files,
        encoding="utf-8",
    )
    return path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    about = f'"unet/w.safetensors" = {{ bytes = {len(CONTENT)}, sha256 = "{DIGEST}" }}\n'
    return Shelf(tmp_path / "weights", manifest(written(tmp_path, about)))


@pytest.fixture
def loose(tmp_path: Path) -> Shelf:
    """A file that only the revision fixes."""
    return Shelf(tmp_path / "weights", manifest(written(tmp_path, '"config.json" = {}\n')))


class Hub(ThreadingHTTPServer):
    """Answers as the hub does, with what it is told to hold."""

    content = CONTENT
    etag = ""
    cut_after: int | None = None
    ranges: list[str]


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = self.server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.server.etag:
            self.send_header("X-Linked-Etag", f'"{self.server.etag}"')
        self.end_headers()
        self.wfile.write(body[: self.server.cut_after])

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub(("127.0.0.1", 0), Answer)
    server.ranges = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def endpoint(hub: Hub) -> str:
    return f"http://127.0.0.1:{hub.server_port}"


def states(shelf: Shelf, deep: bool = False) -> list[str]:
    return [state for _, state in shelf.states(shelf.named("some"), deep)]


@pytest.mark.parametrize("name", ["w.bin", "w.CKPT", "a/w.Pt", "w.pth", "w.PKL", "w.pickle"])
def test_a_pickle_is_refused_whatever_its_case(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="pickle"):
        refuse_pickle(name)
    with pytest.raises(InvalidInput, match="pickle"):
        manifest(written(tmp_path, f'"{name}" = {{}}\n'))
    with pytest.raises(InvalidInput, match="pickle"):
        manifest(written(tmp_path, f'"w.safetensors" = {{ saved_as = "{name}" }}\n'))


@pytest.mark.parametrize("name", ["w.exe", "w", "run.py"])
def test_only_known_formats_are_held(name: str) -> None:
    with pytest.raises(InvalidInput):
        refuse_pickle(name)


@pytest.mark.parametrize("name", ["../w.safetensors", "/etc/w.json", "a/../../w.txt"])
def test_no_file_leaves_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        manifest(written(tmp_path, f'"{name}" = {{}}\n'))


def test_a_typo_in_the_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="some"):
        manifest(written(tmp_path, '"w.json" = { byts = 3 }\n'))


def test_every_engine_s_weights_may_earn_money_and_are_fixed() -> None:
    known = manifest(REAL)
    for weights in known.values():
        assert weights.commercial_ok, weights.id
        assert len(weights.revision) == 40, weights.id
    chosen = Settings.model_validate({})
    for engine in ("sdxl_inpaint", "sdxl_full"):
        ids = needed(engine, chosen, Shelf(Path("x"), known))
        large = [f for i in ids for f in known[i].files if f.saved_as.endswith(".safetensors")]
        assert len(large) == 7  # UNet, two text encoders, VAE, ControlNet, image encoder, adapter
        assert all(file.sha256 and file.size_bytes for file in large)


def test_engines_need_what_the_settings_switch_on() -> None:
    shelf = Shelf(Path("x"), manifest(REAL))

    def ids(engine: str, **values: Any) -> set[str]:
        return set(needed(engine, Settings.model_validate(values), shelf))

    assert ids("drape") == set()
    assert "control-union" not in ids("sdxl_inpaint", controlnet_enabled=False)
    assert "ip-adapter-plus" not in ids("sdxl_inpaint", ip_adapter_enabled=False)
    nine = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
    assert "sdxl-inpaint-9ch" in ids("sdxl_inpaint", inpaint_model=nine)
    assert "sdxl-refiner" in ids("sdxl_full", use_refiner=True)
    with pytest.raises(InvalidInput):
        ids("sdxl_inpaint", inpaint_model="somebody/unknown")


def test_what_is_missing_is_told_with_the_way_to_get_it(shelf: Shelf) -> None:
    with pytest.raises(WeightsMissing) as raised:
        shelf.require(["some"], "sdxl_inpaint")
    message = str(raised.value)
    assert "some/unet/w.safetensors: missing" in message
    assert "python -m worker.weights pull some" in message
    assert str(shelf.root.resolve()) in message


def test_a_pull_fetches_what_is_missing_and_no_more(shelf: Shelf, hub: Hub) -> None:
    for _ in range(2):
        shelf.pull(shelf.named("some"), endpoint(hub))
    assert len(hub.ranges) == 1
    assert states(shelf, deep=True) == ["ok"]
    shelf.require(["some"], "sdxl_inpaint")


def test_a_broken_transfer_goes_on_where_it_stopped(shelf: Shelf, hub: Hub) -> None:
    hub.cut_after = 5000
    with pytest.raises(StorageError, match="again"):
        shelf.pull(shelf.named("some"), endpoint(hub))
    assert states(shelf) == ["missing"]
    hub.cut_after = None
    shelf.pull(shelf.named("some"), endpoint(hub))
    assert hub.ranges == ["", "bytes=5000-"]
    assert states(shelf, deep=True) == ["ok"]


def test_other_bytes_are_not_kept(shelf: Shelf, hub: Hub) -> None:
    hub.content = CONTENT[::-1]
    with pytest.raises(StorageError, match="not what the manifest says"):
        shelf.pull(shelf.named("some"), endpoint(hub))
    assert list(shelf.root.rglob("*.*")) == []


def test_a_changed_file_is_noticed_at_the_next_start(shelf: Shelf, hub: Hub) -> None:
    shelf.pull(shelf.named("some"), endpoint(hub))
    path = shelf.folder("some") / "unet" / "w.safetensors"
    path.write_bytes(CONTENT[:-1] + b"!")
    assert states(shelf) == ["wrong sha256"]
    path.write_bytes(CONTENT[:-1])
    assert states(shelf) == ["wrong size"]


def test_a_file_fixed_by_its_revision_keeps_its_first_digest(loose: Shelf, hub: Hub) -> None:
    loose.pull(loose.named("some"), endpoint(hub))
    assert states(loose, deep=True) == ["ok"]
    (loose.folder("some") / "config.json").write_bytes(b"{}")
    assert states(loose) == ["wrong sha256"]


def test_a_file_that_nobody_vouches_for_is_not_used(loose: Shelf) -> None:
    path = loose.folder("some") / "config.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    assert states(loose) == ["unverified"]
    with pytest.raises(WeightsMissing):
        loose.require(["some"], "sdxl_inpaint")


def test_the_hub_s_own_digest_is_checked(loose: Shelf, hub: Hub) -> None:
    hub.etag = "0" * 64
    with pytest.raises(StorageError):
        loose.pull(loose.named("some"), endpoint(hub))
    hub.etag = DIGEST
    loose.pull(loose.named("some"), endpoint(hub))
    assert states(loose) == ["ok"]
