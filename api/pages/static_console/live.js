// Keeps the regions of a page fresh: the same page is read again and its regions are put in. It
// rests while the page is not looked at, while somebody is at work in a region, and when paused.

const SLOWEST_SECONDS = 60;

export function keepFresh(bar, afterwards) {
  const words = JSON.parse(bar.dataset.words);
  const every = Number(bar.dataset.live);
  const button = document.createElement("button");
  const note = document.createElement("span");
  let paused = false;
  let wait = every;
  let timer = 0;

  button.type = "button";
  button.className = "button button-plain";
  button.textContent = words.pause;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? words.resume : words.pause;
    schedule(paused ? 0 : every);
  });
  note.className = "quiet";
  note.role = "status";
  bar.replaceChildren(note, button);

  function schedule(seconds) {
    clearTimeout(timer);
    if (!paused) timer = setTimeout(turn, seconds * 1000);
  }

  async function turn() {
    if (!document.hidden) {
      const fresh = await read();
      wait = fresh ? every : Math.min(wait * 2, SLOWEST_SECONDS);
      note.textContent = fresh ? "" : words.lost;
      if (fresh && !paused && putIn(fresh, afterwards)) return over();
    }
    schedule(wait);
  }

  function over() {
    paused = true;
    bar.hidden = true;
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) schedule(0);
  });
  schedule(every);
}

async function read() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

/** True when nothing more will change. */
function putIn(fresh, afterwards) {
  for (const old of document.querySelectorAll("[data-region]")) {
    const next = fresh.getElementById(old.id);
    if (!next || isAtWork(old) || old.innerHTML === next.innerHTML) continue;
    old.replaceWith(next);
    afterwards(next);
  }
  return fresh.querySelector("[data-live]") === null;
}

function isAtWork(region) {
  return region.contains(document.activeElement) || region.querySelector(".confirm[open]") !== null;
}
