// The viewer: one picture over the whole screen, and the next and previous of those it came from. Its
// weave is a picture of its own, twice as large, drawn when somebody asks to see it.

import { follow, placeDetail } from "./order.js";
import { t } from "./strings.js";
import { Zoom } from "./zoom.js";

const element = (id) => document.getElementById(`viewer-${id}`);
const dialog = document.getElementById("viewer");
const surface = element("surface");
const picture = element("picture");
const told = element("told");
const zoom = new Zoom(surface, picture, ({ percent }) => {
  element("zoom").textContent = t("viewer.zoom", { n: percent });
});

let shown = []; // [{id, url, caption, alt}]
let place = 0;
let drawing = null; // the AbortController of the weave that is being drawn
const details = new Map(); // addresses of what was drawn, by picture

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
  element("weave").addEventListener("click", () => seeWeave(shown[place]));
  element("fit").addEventListener("click", () => zoom.fit());
  picture.addEventListener("load", laidOut);
  dialog.addEventListener("keydown", onKey);
  dialog.addEventListener("close", forgetDrawing);
}

function turnTo(wanted) {
  forgetDrawing();
  place = (wanted + shown.length) % shown.length;
  const { url, caption, alt } = shown[place];
  show(url);
  picture.alt = alt;
  element("caption").textContent = caption;
  for (const id of ["previous", "next"]) element(id).hidden = shown.length < 2;
}

function show(url) {
  zoom.wasFit = true;
  picture.src = url;
  if (picture.complete) laidOut();
}

// Of the weave, pixel for pixel, what was in the middle; of anything else the whole, unless somebody
// came closer before all of it was there.
function laidOut() {
  if (zoom.wasFit) zoom.fit();
  if (picture.getAttribute("src") === details.get(shown[place].id)) zoom.zoomTo(1);
}

async function seeWeave({ id }) {
  forgetDrawing();
  drawing = new AbortController();
  const { signal } = drawing;
  const onTrouble = (sentence) => (told.textContent = sentence ?? t("viewer.drawing"));
  onTrouble(null);
  try {
    if (!details.has(id)) details.set(id, await drawn(id, { signal, onTrouble }));
    if (signal.aborted) return;
    show(details.get(id));
    told.textContent = "";
  } catch (error) {
    if (!signal.aborted) told.textContent = error.message || t("viewer.no_detail");
  }
}

async function drawn(id, options) {
  const { body } = await placeDetail(id, options);
  const order = await follow(body, { ...options, onChange: () => {} });
  if (!order.images.length) throw new Error(order.error?.detail ?? t("viewer.no_detail"));
  return order.images[0].url;
}

function forgetDrawing() {
  drawing?.abort();
  told.textContent = "";
}

function onKey(event) {
  const turns = { PageUp: -1, PageDown: 1, ...(zoom.isFit && { ArrowLeft: -1, ArrowRight: 1 }) };
  if (!(event.key in turns)) zoom.onKey(event);
  else {
    turnTo(place + turns[event.key]);
    event.preventDefault();
  }
}
