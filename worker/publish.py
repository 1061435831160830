"""Publishing: watermark, encode once, and put under a key of this claim; put proves what it stored.

The key holds the claim, so that a worker that lost its lease can only leave an orphan behind, never
replace a result. The row that makes the picture visible is written after this, by queue.complete.
"""

import hashlib
import time

import cv2

from models.errors import EngineFailed
from models.queue import Claim, NewImage
from models.storage import Storage
from worker.engines import Engine, Picture, Rendering, Tick
from worker.provenance import with_provenance
from worker.watermark import Watermark

CONTENT_TYPE = "image/jpeg"
# Quality 92 without chroma subsampling: a pinstripe one pixel wide keeps its colour.
JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def publish(
    held: Claim,
    engine: Engine,
    rendering: Rendering,
    storage: Storage,
    watermark: Watermark,
    tick: Tick,
) -> NewImage:
    """Store the marked picture and describe it. Raises StorageError, and whatever `tick` raises."""
    clock = _Stopwatch()
    encoded = _encode(watermark.apply(rendering.picture))
    content = with_provenance(encoded, held.letter.cut, engine.name)
    clock.lap("encode")
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"renders/{held.job_id}/{held.claim}/{held.letter.cut}-{sha256[:16]}.jpg"
    tick(1.0)
    storage.put(key, content, CONTENT_TYPE, lambda: tick(1.0))
    clock.lap("upload")
    height_px, width_px = rendering.picture.shape[:2]
    return NewImage(
        object_key=key,
        content_type=CONTENT_TYPE,
        size_bytes=len(content),
        sha256=sha256,
        width_px=width_px,
        height_px=height_px,
        noise_seed=held.letter.noise_seed,
        engine=engine.name,
        engine_version=engine.version,
        recipe=rendering.recipe,
        degraded=list(rendering.degraded),
        timings_ms=clock.laps_ms,
        watermarked=True,
    )


def _encode(picture: Picture) -> bytes:
    done, content = cv2.imencode(".jpg", picture, JPEG)
    if not done:
        raise EngineFailed("the picture could not be encoded")
    return content.tobytes()


class _Stopwatch:
    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps_ms[name] = round((now - self._at) * 1000, 2)
        self._at = now
