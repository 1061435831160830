"""Weights: what the photoreal engines need on disk, from where, and whether it is right.

    python -m worker.weights list | pull [ID ...] | verify [ID ...]

assets/weights.toml is the manifest. Nothing is fetched while the worker runs, and no pickle is
ever opened or stored. Without an ID: what the configured engines need.
"""

import argparse
import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from models.errors import InvalidInput, StorageError, StylistError
from models.settings import Settings, settings

LOCK = "weights.lock.json"
PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}
PLAIN = {".safetensors", ".json", ".txt"}
GB = 1e9

State = Literal["ok", "missing", "wrong size", "wrong sha256", "unverified"]


class WeightsMissing(StylistError):
    """An engine's weights are not here as the manifest says; the message says how to get them."""

    code = "weights-missing"


@dataclass(frozen=True)
class WeightsFile:
    """A file of a repository; size and digest are None where only the revision is known."""

    path: str  # in the repository
    saved_as: str  # below the weights' own folder
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class Weights:
    """One entry of the manifest."""

    id: str
    purpose: str
    repository: str
    revision: str
    licence: str
    commercial_ok: bool
    vram_gb: float
    files: tuple[WeightsFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of the files whose size is known."""
        return sum(file.size_bytes or 0 for file in self.files)

    @property
    def size(self) -> str:
        """For people."""
        known = any(file.size_bytes for file in self.files)
        return f"{self.size_bytes / GB:.2f} GB" if known else "size ?"


def manifest(path: Path) -> dict[str, Weights]:
    """All weights by id. Raises InvalidInput for a pickle, a path leading out, or a typo."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["weights"]
    return {entry["id"]: _weights(entry) for entry in entries}


def _weights(entry: dict[str, Any]) -> Weights:
    try:
        files = tuple(_file(path, **about) for path, about in entry["files"].items())
        return Weights(**{**entry, "files": files})
    except TypeError as error:
        raise InvalidInput(f"weights.toml, {entry.get('id')}: {error}") from error


def _file(
    path: str, bytes: int | None = None, sha256: str | None = None, saved_as: str | None = None
) -> WeightsFile:
    for name in (path, saved_as or path):
        refuse_pickle(name)
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InvalidInput(f"weights.toml: {name} leaves the folder of weights")
    return WeightsFile(path, saved_as or path, bytes, sha256)


def refuse_pickle(name: str) -> None:
    """Raises InvalidInput unless the name ends as a format does that cannot run code."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in PICKLES:
        raise InvalidInput(f"{name} is a pickle, which can run code: only .safetensors is loaded")
    if suffix not in PLAIN:
        raise InvalidInput(f"{name}: only .safetensors, .json and .txt files are loaded")


class Shelf:
    """The folder of weights on this machine: `<id>/<path>`, and the digests found earlier."""

    def __init__(self, root: Path, known: dict[str, Weights]) -> None:
        self.root = root
        self.known = known

    def folder(self, weights_id: str) -> Path:
        return self.root / weights_id

    def named(self, name: str) -> Weights:
        """By id or by repository. Raises InvalidInput."""
        for weights in self.known.values():
            if name in (weights.id, weights.repository):
                return weights
        raise InvalidInput(f"no weights {name!r}: use one of {', '.join(self.known)}")

    def states(self, weights: Weights, deep: bool) -> Iterator[tuple[WeightsFile, State]]:
        """How each file is. `deep` reads all of it; otherwise a file that looks as it did when it
        was last read is believed."""
        lock = self._lock()
        for file in weights.files:
            yield file, self._state(weights, file, lock, deep)
        self._write_lock(lock)

    def _state(
        self, weights: Weights, file: WeightsFile, lock: dict[str, Any], deep: bool
    ) -> State:
        path, key = self.folder(weights.id) / file.saved_as, _key(weights, file)
        seen = lock.get(key, {})
        try:
            about = path.stat()
        except OSError:
            return "missing"
        if file.size_bytes is not None and about.st_size != file.size_bytes:
            return "wrong size"
        expected = file.sha256 or seen.get("sha256")
        if expected is None:
            return "unverified"  # only pull may say what it should be
        untouched = seen == _seen(path, expected)
        if deep or not untouched:
            if sha256_of(path) != expected:
                return "wrong sha256"
            lock[key] = _seen(path, expected)
        return "ok"

    def pull(self, weights: Weights, endpoint: str) -> None:
        """Fetch what is not here. Raises StorageError when a file is not what it should be."""
        for file, state in list(self.states(weights, deep=False)):
            if state == "ok":
                continue
            path = self.folder(weights.id) / file.saved_as
            digest = _download(url_of(weights, file, endpoint), path, file)
            lock = self._lock()
            lock[_key(weights, file)] = _seen(path, digest)
            self._write_lock(lock)

    def require(self, ids: Iterable[str], for_engine: str) -> None:
        """Raises WeightsMissing, with what to pull, how large and where to, unless all is here."""
        wanting: list[Weights] = []
        reasons: list[str] = []
        for weights in map(self.named, ids):
            bad = [(f, s) for f, s in self.states(weights, deep=False) if s != "ok"]
            if bad:
                wanting.append(weights)
                reasons += [f"  {weights.id}/{file.saved_as}: {state}" for file, state in bad]
        if wanting:
            raise WeightsMissing(_how_to_pull(self.root, for_engine, wanting, reasons))

    def _lock(self) -> dict[str, Any]:
        try:
            lock = json.loads((self.root / LOCK).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return dict(lock)

    def _write_lock(self, lock: dict[str, Any]) -> None:
        if lock == self._lock():
            return
        temporary = self.root / f"{LOCK}.{os.getpid()}"
        temporary.write_text(json.dumps(lock, indent=1, sort_keys=True), encoding="utf-8")
        temporary.replace(self.root / LOCK)


def _how_to_pull(
    root: Path, for_engine: str, wanting: Sequence[Weights], reasons: Sequence[str]
) -> str:
    size = sum(weights.size_bytes for weights in wanting) / GB
    return "\n".join(
        [
            f"{for_engine} cannot start: weights are missing or not what they should be.",
            *reasons,
            f"Pull {size:.1f} GB into {root.resolve()} with:",
            f"  python -m worker.weights pull {' '.join(weights.id for weights in wanting)}",
        ]
    )


def _key(weights: Weights, file: WeightsFile) -> str:
    return f"{weights.id}@{weights.revision}/{file.path}"


def _seen(path: Path, sha256: str) -> dict[str, Any]:
    about = path.stat()
    return {"sha256": sha256, "size_bytes": about.st_size, "mtime_ns": about.st_mtime_ns}


def shelf() -> Shelf:
    """The shelf that the settings name."""
    return Shelf(settings().weights_root, manifest(settings().weights_manifest))


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def url_of(weights: Weights, file: WeightsFile, endpoint: str) -> str:
    return f"{endpoint.rstrip('/')}/{weights.repository}/resolve/{weights.revision}/{file.path}"


def _download(url: str, path: Path, file: WeightsFile) -> str:
    """Fetch beside the target, check, then put in place; returns the SHA-256.

    A broken transfer is continued. A large file's own digest, which the hub sends as its ETag, is
    checked as well, so that a file that only the revision fixes arrives whole.
    """
    import httpx

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=60) as answer:
            answer.raise_for_status()
            declared = _declared_sha256(answer)
            with part.open("ab" if answer.status_code == 206 else "wb") as stream:
                for chunk in answer.iter_raw():  # as it comes: what has arrived is kept
                    stream.write(chunk)
                os.fsync(stream.fileno())
    except httpx.HTTPError as error:
        raise StorageError(f"{url}: {error}; run pull again to go on") from error
    return _put_in_place(part, path, {file.sha256, declared} - {None}, file.size_bytes, url)


def _declared_sha256(answer: Any) -> str | None:
    """X-Linked-Etag of the hub's first answer: the SHA-256 of a large file."""
    for response in (*answer.history, answer):
        etag = response.headers.get("x-linked-etag", "").strip('"')
        if len(etag) == 64:
            return str(etag)
    return None


def _put_in_place(
    part: Path, path: Path, expected: set[str | None], size_bytes: int | None, url: str
) -> str:
    digest = sha256_of(part)
    size = part.stat().st_size
    if (expected and expected != {digest}) or (size_bytes is not None and size != size_bytes):
        part.unlink()
        raise StorageError(f"{url} is not what the manifest says: {size} bytes, sha256 {digest}")
    part.replace(path)
    return digest


def needed(engine: str, chosen: Settings, shelf: Shelf) -> tuple[str, ...]:
    """Ids of the weights that an engine loads with these settings. Raises InvalidInput."""
    if engine not in ("sdxl_inpaint", "sdxl_full"):
        return ()
    ids = ["sdxl-base", "vae-fp16-fix"]
    if engine == "sdxl_inpaint":
        ids.append(shelf.named(chosen.inpaint_model).id)
    if chosen.controlnet_enabled:
        ids.append("control-union")
    if chosen.ip_adapter_enabled:
        ids.append("ip-adapter-plus")
    if engine == "sdxl_full" and chosen.use_refiner:
        ids.append("sdxl-refiner")
    return tuple(dict.fromkeys(ids))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0 when everything asked about is here and right."""
    parser = argparse.ArgumentParser(prog="python -m worker.weights", description=__doc__)
    parser.add_argument("command", choices=["list", "pull", "verify"])
    parser.add_argument("ids", nargs="*", help="default: what the configured engines need")
    asked = parser.parse_args(arguments)
    try:
        right = _answer(asked.command, asked.ids, shelf())
    except StylistError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if right or asked.command == "list" else 1


def _answer(command: str, ids: Sequence[str], here: Shelf) -> bool:
    chosen = [here.named(name) for name in ids or _default_ids(command, here)]
    for weights in chosen if command == "pull" else ():
        print(f"{weights.id}: {weights.size}, {weights.licence}", flush=True)
        here.pull(weights, settings().hf_endpoint)
    right = [_reported(here, weights, command) for weights in chosen]
    return all(right)


def _default_ids(command: str, here: Shelf) -> Sequence[str]:
    if command == "list":
        return list(here.known)
    configured = needed(settings().chosen_final_engine, settings(), here)
    return configured or needed("sdxl_inpaint", settings(), here)


def _reported(here: Shelf, weights: Weights, command: str) -> bool:
    states = list(here.states(weights, deep=command == "verify"))
    bad = [f"{file.saved_as}: {state}" for file, state in states if state != "ok"]
    use = "commercial use" if weights.commercial_ok else "NOT for commercial use"
    print(
        f"{weights.id:18}{weights.size:>10}{weights.vram_gb:6.1f} GB VRAM  "
        f"{f'{len(bad)} of {len(states)} files wanting' if bad else 'ok'}",
        f"  {weights.purpose}",
        f"  {weights.repository}@{weights.revision[:12]}, {weights.licence}, {use}",
        *([f"  {line}" for line in bad] if command != "list" else []),
        sep="\n",
    )
    return not bad


if __name__ == "__main__":
    sys.exit(main())
