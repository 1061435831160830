// The viewer: one picture as large as you like. Pinch, wheel, double tap, drag, keys and buttons; a
// single tap brings a point to the middle, so nothing needs a drag.

import { t } from "./strings.js";

const CLOSEST = 4; // screen pixels per picture pixel
const STEP = 1.4;
const KEY_PX = 80;
const DOUBLE_TAP_MS = 300;
const TAP_SLOP_PX = 8;

const element = (id) => document.getElementById(`viewer-${id}`);
const dialog = document.getElementById("viewer");
const surface = element("surface");
const picture = element("picture");

let shown = []; // [{url, caption, alt}]
let place = 0;
let view = { x: 0, y: 0, scale: 1 };
const fingers = new Map();
let pinch = null;
let press = null;
let lastTap = { time: 0, x: 0, y: 0 };

/** Open on the picture with this address, out of those on the stage. */
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
  element("closer").addEventListener("click", () => zoomBy(STEP));
  element("farther").addEventListener("click", () => zoomBy(1 / STEP));
  element("natural").addEventListener("click", () => zoomTo(1));
  element("fit").addEventListener("click", fit);
  picture.addEventListener("load", fit);
  surface.addEventListener("wheel", onWheel, { passive: false });
  surface.addEventListener("pointerdown", onDown);
  surface.addEventListener("pointermove", onMove);
  for (const end of ["pointerup", "pointercancel"]) surface.addEventListener(end, onUp);
  dialog.addEventListener("keydown", onKey);
  addEventListener("resize", () => dialog.open && fit());
}

function turnTo(wanted) {
  place = (wanted + shown.length) % shown.length;
  const { url, caption, alt } = shown[place];
  picture.src = url;
  picture.alt = alt;
  element("caption").textContent = caption;
  for (const id of ["previous", "next"]) element(id).hidden = shown.length < 2;
  if (picture.complete) fit();
}

function fitScale() {
  const { clientWidth: width, clientHeight: height } = surface;
  return Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
}

function fit() {
  if (picture.naturalWidth) move({ x: 0, y: 0, scale: fitScale() });
}

function isFit() {
  return view.scale <= fitScale() * 1.001;
}

// Keep the picture on the screen: centred where it is smaller, edge to edge where it is larger.
function move({ x, y, scale }) {
  view = {
    scale,
    x: within(x, surface.clientWidth, picture.naturalWidth * scale),
    y: within(y, surface.clientHeight, picture.naturalHeight * scale),
  };
  // A width, not a scale: browsers filter a picture better when it is laid out at its size.
  picture.style.width = `${picture.naturalWidth * scale}px`;
  picture.style.transform = `translate(${view.x}px, ${view.y}px)`;
  element("zoom").textContent = t("viewer.zoom", { n: Math.round(scale * 100) });
}

function within(offset, space, size) {
  if (size <= space) return (space - size) / 2;
  return Math.min(0, Math.max(space - size, offset));
}

// The point of the picture under (x, y) stays there.
function zoomTo(scale, x = surface.clientWidth / 2, y = surface.clientHeight / 2) {
  const next = Math.min(CLOSEST, Math.max(Math.min(fitScale(), 1), scale));
  const ratio = next / view.scale;
  move({ scale: next, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio });
}

function zoomBy(factor, x, y) {
  zoomTo(view.scale * factor, x, y);
}

function onWheel(event) {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
}

function onDown(event) {
  surface.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, at(event));
  press = fingers.size === 1 ? { ...at(event), view: { ...view } } : null;
  pinch = fingers.size === 2 ? span() : null;
}

function onMove(event) {
  if (!fingers.has(event.pointerId)) return;
  fingers.set(event.pointerId, at(event));
  if (pinch) {
    const now = span();
    move({ ...view, x: view.x + now.x - pinch.x, y: view.y + now.y - pinch.y });
    zoomBy(now.distance / pinch.distance, now.x, now.y);
    pinch = now;
  } else if (press) {
    const { x, y } = at(event);
    move({ scale: view.scale, x: press.view.x + x - press.x, y: press.view.y + y - press.y });
  }
}

function onUp(event) {
  const tapped = press && event.type === "pointerup" && near(press, at(event));
  fingers.delete(event.pointerId);
  press = null;
  pinch = null;
  if (tapped) onTap(at(event), event.timeStamp);
}

function onTap({ x, y }, time) {
  const twice = time - lastTap.time < DOUBLE_TAP_MS && near(lastTap, { x, y }, 30);
  lastTap = { time: twice ? 0 : time, x, y };
  if (twice && isFit()) zoomTo(Math.max(1, fitScale() * 2), x, y);
  else if (twice) fit();
  else if (!isFit()) centre({ x, y });
}

function centre({ x, y }) {
  const { clientWidth: width, clientHeight: height } = surface;
  move({ scale: view.scale, x: view.x + width / 2 - x, y: view.y + height / 2 - y });
}

function onKey(event) {
  const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const other = {
    "+": () => zoomBy(STEP),
    "=": () => zoomBy(STEP),
    "-": () => zoomBy(1 / STEP),
    0: fit,
    1: () => zoomTo(1),
    PageUp: () => turnTo(place - 1),
    PageDown: () => turnTo(place + 1),
  };
  const arrow = arrows[event.key];
  if (arrow && isFit()) turnTo(place - arrow[0]);
  else if (arrow) move({ ...view, x: view.x + arrow[0] * KEY_PX, y: view.y + arrow[1] * KEY_PX });
  else if (event.key in other) other[event.key]();
  else return;
  event.preventDefault();
}

function at(event) {
  const box = surface.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function near(a, b, slop = TAP_SLOP_PX) {
  return Math.hypot(a.x - b.x, a.y - b.y) < slop;
}

function span() {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) };
}
