"""The sales floor with 2,000 fabrics, in Debian's Chromium: python -m bench.floor.

GET /catalog and / over HTTP; a keystroke in the search field until its results are painted; a tap
on a cloth until the suit in it is on the screen, one drape worker beside it.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from playwright.sync_api import Page

from bench.chromium import running_chromium
from bench.stack import running
from models import database

FABRICS = 2000
REQUESTS = 200
ORDERS = 50
TYPED = ("azul marino", "LC-0", "principe", "cachemir", "seda", "gris raya", "10", "mohair", "zz")
MORE = """
INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value, swatch_code, swatch_key,
   swatch_sha256, swatch_kind, swatch_width_mm, thumbnail_key, mill, composition, weight_g_m2,
   pattern)
SELECT fabric_family_id, color_id || '-' || n, name || ' ' || n, hex_value, swatch_code || '-' || n,
   swatch_key, swatch_sha256, swatch_kind, swatch_width_mm, thumbnail_key, 'Casa ' || n %% 12,
   composition, weight_g_m2, pattern
  FROM fabrics, generate_series(1, 100) AS n
 ORDER BY n, color_id LIMIT %s - (SELECT count(*) FROM fabrics)
"""
KEYSTROKES = """
async (typed) => {
  const field = document.getElementById("search");
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(0);
  }));
  const times = [];
  for (const words of typed) {
    for (let end = 1; end <= words.length; end++) {
      field.value = words.slice(0, end);
      const started = performance.now();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      await painted();
      times.push(performance.now() - started);
      await painted();
    }
  }
  field.value = "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return times;
}
"""
TAP = """
async (place) => {
  const tile = document.querySelectorAll("[data-color]")[place];
  const before = document.querySelector(".suit-open img:last-of-type")?.src;
  const started = performance.now();
  tile.click();
  const { stage } = document.getElementById("floor").dataset;
  if (stage !== "suits") document.getElementById("see").click();
  await new Promise((done) => {
    const look = () => {
      const picture = document.querySelector(".suit-open img:last-of-type");
      if (picture && picture.src !== before) requestAnimationFrame(done);
      else requestAnimationFrame(look);
    };
    look();
  });
  return performance.now() - started;
}
"""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="estilista-bench-"))
    try:
        with running(data_dir=folder, SHARE_RESULTS="false") as (url, _):  # each is rendered
            with psycopg.connect(database.embedded_url(folder), autocommit=True) as connection:
                connection.execute(MORE, [FABRICS])
            measure(url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(url: str) -> None:
    """Print the table for a running house that holds the fabrics."""
    print(f"| {FABRICS} fabrics | median | p95 | bar |")
    print("|---|---|---|---|")
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for path, bar in (("/catalog", "≤ 50 ms"), ("/", "")):
            _show(f"GET {path}, {REQUESTS} in a row", _times(client, path), bar)
    with _tablet(url) as page:
        _show(
            "a keystroke until its results are painted", page.evaluate(KEYSTROKES, TYPED), "≤ 60 ms"
        )
    with _tablet(url) as page:
        taps = [float(page.evaluate(TAP, place)) for place in range(ORDERS)]
        _show(f"a tap until the suit is on the screen, {ORDERS} orders", taps, "≤ 600 ms")


def _times(client: httpx.Client, path: str) -> list[float]:
    def once() -> None:
        client.get(path).raise_for_status()

    once()  # what is kept is made once
    return [_ms(once) for _ in range(REQUESTS)]


def _ms(do: Callable[[], None]) -> float:
    started = time.perf_counter()
    do()
    return (time.perf_counter() - started) * 1000


def _show(what: str, times_ms: list[float], bar: str) -> None:
    middle = sorted(times_ms)[len(times_ms) // 2]
    print(f"| {what} | {middle:.1f} ms | {_p95(times_ms):.1f} ms | {bar} |", flush=True)


def _p95(times_ms: list[float]) -> float:
    return sorted(times_ms)[int(0.95 * (len(times_ms) - 1))]


@contextmanager
def _tablet(url: str) -> Iterator[Page]:
    """The sales floor, open on a tablet's screen."""
    with running_chromium() as browser:
        page = browser.new_page(base_url=url, viewport={"width": 1180, "height": 820})
        page.goto("/")
        page.wait_for_load_state("networkidle")
        yield page


if __name__ == "__main__":
    main()
