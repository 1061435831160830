// The viewer: one picture over the whole screen, and the next and previous of those it came from.

import { t } from "./strings.js";
import { Zoom } from "./zoom.js";

const element = (id) => document.getElementById(`viewer-${id}`);
const dialog = document.getElementById("viewer");
const surface = element("surface");
const picture = element("picture");
const zoom = new Zoom(surface, picture, ({ percent }) => {
  element("zoom").textContent = t("viewer.zoom", { n: percent });
});

let shown = []; // [{url, caption, alt}]
let place = 0;

/** Open on the picture with this address, out of those that can be turned to. */
export function open(pictures, url) {
  shown = pictures;
  dialog.showModal();
  turnTo(Math.max(0, pictures.findIndex((one) => one.url === url)));
  surface.focus();
}

export function wire() {
  element("close").addEventListener("click", () => dialog.close());
  element("previous").addEventListener("click", () => turnTo(place - 1));
  element("next").addEventListener("click", () => turnTo(place + 1));
  element("closer").addEventListener("click", () => zoom.closer());
  element("farther").addEventListener("click", () => zoom.farther());
  element("natural").addEventListener("click", () => zoom.zoomTo(1));
  element("fit").addEventListener("click", () => zoom.fit());
  picture.addEventListener("load", () => zoom.fit());
  dialog.addEventListener("keydown", onKey);
  addEventListener("resize", () => dialog.open && zoom.fit());
}

function turnTo(wanted) {
  place = (wanted + shown.length) % shown.length;
  const { url, caption, alt } = shown[place];
  picture.src = url;
  picture.alt = alt;
  element("caption").textContent = caption;
  for (const id of ["previous", "next"]) element(id).hidden = shown.length < 2;
  if (picture.complete) zoom.fit();
}

function onKey(event) {
  const turns = { PageUp: -1, PageDown: 1, ...(zoom.isFit && { ArrowLeft: -1, ArrowRight: 1 }) };
  if (!(event.key in turns)) zoom.onKey(event);
  else {
    turnTo(place + turns[event.key]);
    event.preventDefault();
  }
}
