// What this tab has shown: order ids in sessionStorage, everything else read again from the server.

import { cutName } from "./chooser.js";
import { Refused } from "./http.js";
import { read } from "./order.js";
import { node } from "./stage.js";
import { t } from "./strings.js";

const KEPT = "vistos";
const MOST = 10;

const strip = document.getElementById("recent-strip");
const box = document.getElementById("recent");
const known = new Map(); // id → order

let kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); // [{id, photo}], newest first

/** What the order with this id was placed for, if this tab placed it with a photo. */
export function photoOf(id) {
  return kept.find((entry) => entry.id === id)?.photo ?? null;
}

/** Remember an order that was placed; its thumbnail appears with its first picture. */
export function add(order) {
  const photo = order.cloth.kind === "photo" ? order.cloth : null;
  kept = [{ id: order.id, photo }, ...kept.filter((entry) => entry.id !== order.id)].slice(0, MOST);
  save();
}

/** An order changed: show its picture in the strip. */
export function update(order) {
  known.set(order.id, order);
  show();
}

/** Mark the order that is on the stage. */
export function mark(id) {
  for (const item of strip.children) item.setAttribute("aria-current", String(item.dataset.id === id));
}

/** Read the tab's orders again. `complete(order)` adds what the page knows of the cloth. */
export async function restore(complete) {
  await Promise.all(
    kept.map(async ({ id }) => {
      try {
        known.set(id, complete(await read(id)));
      } catch (error) {
        if (error instanceof Refused && error.status === 404) {
          kept = kept.filter((entry) => entry.id !== id);
        }
      }
    }),
  );
  save();
  show();
}

/** The order that is `step` places from this one in the strip, around its ends. */
export function beside(id, step) {
  const orders = shown();
  const place = orders.findIndex((order) => order.id === id);
  return orders[(place + step + orders.length) % orders.length] ?? null;
}

/** The picture that was made before this one, as far as it is another; else null. */
export function before(orderId, imageId) {
  const orders = shown();
  const older = orders.slice(orders.findIndex(({ id }) => id === orderId) + 1);
  return older.map(pictureOf).find(({ id }) => id !== imageId) ?? null;
}

function pictureOf({ images }) {
  return images.find(({ stage }) => stage === "final") ?? images[0];
}

/** `onOpen(order)` runs when a thumbnail is tapped. */
export function wire(onOpen) {
  strip.addEventListener("click", (event) => {
    const item = event.target.closest(".recent-item");
    if (item) onOpen(known.get(item.dataset.id));
  });
}

function show() {
  const current = strip.querySelector("[aria-current=true]")?.dataset.id;
  const orders = shown();
  strip.replaceChildren(...orders.map(thumbnail));
  box.hidden = orders.length < 2;
  if (current) mark(current);
}

function shown() {
  return kept.map(({ id }) => known.get(id)).filter((order) => order?.images.length);
}

function thumbnail(order) {
  const item = node("button", "recent-item");
  item.type = "button";
  item.dataset.id = order.id;
  const image = node("img");
  const cuts = order.cuts.map(({ cut, name }) => cutName(cut) ?? name).join(", ");
  image.src = `/api/v1/images/${order.images[0].id}/thumbnail`;
  image.alt = t("recent.item", { cloth: order.cloth.name, cut: cuts });
  image.decoding = "async";
  item.append(image);
  return item;
}

function save() {
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}
