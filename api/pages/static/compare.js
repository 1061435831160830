// Two to four pictures side by side: whatever is done to one is done to all. Two of them can also
// lie over each other, with an edge between them that is moved.

import { t } from "./strings.js";
import { Zoom } from "./zoom.js";

const panes = document.getElementById("panes");
const slider = document.getElementById("slider");
const divide = document.getElementById("divide");
const surfaces = [...document.querySelectorAll(".pane-surface")];

const zooms = surfaces.map((surface) => new Zoom(surface, surface.firstElementChild, together));

function together(moved) {
  for (const zoom of zooms) if (zoom !== moved && zoom.picture.naturalWidth) zoom.follow(moved);
  document.getElementById("zoom").textContent = t("viewer.zoom", { n: moved.percent });
}

// A picture that comes late takes the place that the others have by now.
function join(late) {
  const moved = zooms.find((zoom) => zoom !== late && !zoom.isFit);
  if (moved) late.follow(moved);
  else late.fit();
}

function fit() {
  for (const zoom of zooms) zoom.fit();
}

// The second picture covers the first from the edge on.
function divideAt(percent) {
  surfaces[1].style.clipPath = percent === null ? "" : `inset(0 0 0 ${percent}%)`;
  panes.style.setProperty("--edge", percent === null ? "" : `${percent}%`);
}

function setSlider(on) {
  slider.setAttribute("aria-pressed", String(on));
  panes.dataset.mode = on ? "over" : "side";
  document.getElementById("slide").hidden = !on;
  divideAt(on ? Number(divide.value) : null);
  fit();
}

// As one came: the suit on the stage, or what was filtered and ticked in the gallery, still is.
function goBack(event) {
  const from = document.referrer.split("?")[0];
  if (!from.startsWith(location.origin) || from === location.origin + location.pathname) return;
  event.preventDefault();
  history.back();
}

if (panes) {
  document.getElementById("back").addEventListener("click", goBack);
  for (const zoom of zooms) {
    zoom.surface.addEventListener("keydown", (event) => zoom.onKey(event));
    zoom.picture.addEventListener("load", () => join(zoom));
  }
  document.getElementById("closer").addEventListener("click", () => zooms[0].closer());
  document.getElementById("farther").addEventListener("click", () => zooms[0].farther());
  document.getElementById("fit").addEventListener("click", fit);
  slider?.addEventListener("click", () => setSlider(panes.dataset.mode === "side"));
  divide?.addEventListener("input", () => divideAt(Number(divide.value)));
  fit();
}
