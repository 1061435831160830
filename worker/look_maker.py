"""Making look packs of what merchandisers uploaded: claim one, make it, check it, store it.

A finished pack is read as any look is; a photo with mask and panels is made into one first
(worker/photo_look/). Then what the console and the sales floor show of it is drawn and stored.
`python -m worker.look_maker` makes what waits and ends: see apprentice.py.
"""

import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from pathlib import Path

import cv2

from models import look_uploads, packs
from models.database import transaction
from models.errors import InvalidInput, LookUnavailable, NotFound
from models.logs import start_logging
from models.look_uploads import LookClaim, LookLetter, MadePack
from models.storage import storage
from worker import overlays
from worker.errand import Done, Errand
from worker.looks import load_look, own_depth
from worker.packs import write_files
from worker.photo_look.command import LIMITS
from worker.photo_look.pack import photo_look, read_levels, write_pack
from worker.photo_look.plan import load_plan

NICENESS = 10


def main() -> None:
    """Make all that waits. Behind the pictures that the worker renders on the same machine."""
    start_logging()
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which dismisses us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    maker = LookMaker(f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}", storage())
    while maker.do_once():
        pass


class LookMaker(Errand[LookClaim]):
    """The part of a worker that makes look packs."""

    broken = ("look-failed", "El look no se pudo hacer por un problema nuestro.")

    def _claimed(self) -> LookClaim | None:
        with transaction() as session:
            return look_uploads.claim(session, self.worker)

    def _done(self, held: LookClaim) -> Done:
        with tempfile.TemporaryDirectory(prefix="look-") as folder:
            made = self._made(held.letter, Path(folder))
        return lambda session: look_uploads.complete(session, held, made)

    def _made(self, letter: LookLetter, folder: Path) -> MadePack:
        """Raises InvalidInput in words for whoever uploaded it."""
        files = packs.unbundled(self._source(letter))
        try:
            pack = _pack_in(folder, letter, files)
            look = load_look(pack)
            own_depth(pack, look)
        except (InvalidInput, LookUnavailable) as error:
            raise InvalidInput(str(error).replace(f"{folder}{os.sep}", "")) from error
        overlays.publish_look(self.storage, look)
        key, sha256 = self._stored(letter, pack)
        return MadePack(
            pack_key=key,
            pack_sha256=sha256,
            pack_version=look.version,
            width_px=look.width_px,
            height_px=look.height_px,
            px_per_cm=look.px_per_cm,
            limits=_limits(pack),
        )

    def _source(self, letter: LookLetter) -> bytes:
        try:
            content = self.storage.get(letter.source_key)
        except NotFound:
            raise InvalidInput("Lo que se subió ya no está guardado; súbelo otra vez.") from None
        if packs.sha256_of(content) != letter.source_sha256:
            raise InvalidInput("Lo que está guardado no es lo que se subió; súbelo otra vez.")
        return content

    def _stored(self, letter: LookLetter, pack: Path) -> tuple[str, str]:
        """Key and hash of the finished pack; an uploaded one is stored already."""
        if letter.kind == "pack":
            return letter.source_key, letter.source_sha256
        content = packs.bundled({path.name: path.read_bytes() for path in pack.iterdir()})
        sha256 = packs.sha256_of(content)
        key = packs.bundle_key(letter.upload_id, letter.cut, sha256)
        self.storage.put(key, content, packs.CONTENT_TYPE)
        return key, sha256


def _limits(pack: Path) -> tuple[str, ...]:
    """What a photo did not tell, by the pack's own word; none of a pack of another origin."""
    match json.loads((pack / "look.json").read_bytes()):
        case {"photo": {"limits": [*codes]}}:
            return tuple(code for code in codes if code in LIMITS)
    return ()


def _pack_in(folder: Path, letter: LookLetter, files: dict[str, bytes]) -> Path:
    """The pack as a folder. Raises InvalidInput."""
    pack = folder / letter.cut
    if letter.kind == "pack":
        write_files(pack, files)
        return pack
    for name, content in files.items():
        (folder / name).write_bytes(content)
    photo = read_levels(folder / "photo", cv2.IMREAD_COLOR, "photo")
    mask = read_levels(folder / "mask.png", cv2.IMREAD_GRAYSCALE, "mask")
    plan = load_plan(folder / "panels.json", (photo.shape[1], photo.shape[0]))
    write_pack(pack, photo_look(photo, mask, plan, name=letter.cut, name_es=letter.name))
    return pack


if __name__ == "__main__":
    main()
