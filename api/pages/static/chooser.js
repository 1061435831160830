// The left column: families as tabs, cloths as a listbox, cuts as radio buttons; all by keyboard too.

import { BOTH, choice } from "./choice.js";

const tabs = [...document.querySelectorAll("#families [role=tab]")];
const tiles = [...document.querySelectorAll("[role=option]")];
const cuts = [...document.querySelectorAll("#cuts input")];

/** The cloth of a tile, as the rest of the page speaks of it. */
function clothOf(tile) {
  const { color, name, family, familyName, code, hex, swatch, widthMm } = tile.dataset;
  return {
    kind: "catalogue",
    colorId: color,
    name,
    familyId: family,
    familyName,
    code,
    hex,
    swatchUrl: swatch || null,
    widthMm: Number(widthMm) || null,
  };
}

const cloths = new Map(tiles.map((tile) => [tile.dataset.color, clothOf(tile)]));
const cutNames = new Map(cuts.map((input) => [input.value, input.dataset.name]));

/** The catalogue's cloth with this id, if it is still offered. */
export function clothById(colorId) {
  return cloths.get(colorId) ?? null;
}

/** The name of a cut, or of both; null for a cut that is not offered. */
export function cutName(cut) {
  return cutNames.get(cut) ?? null;
}

/** Every single cut on offer. */
export function allCuts() {
  return [...cutNames.keys()].filter((cut) => cut !== BOTH);
}

/** Show a family's cloths without choosing one. */
export function openTab(tab) {
  for (const other of tabs) {
    const open = other === tab;
    other.setAttribute("aria-selected", String(open));
    other.tabIndex = open ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !open;
  }
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Wire the column. `onPick` runs after a person picked a cloth or a cut, not after a restored state. */
export function wire(onPick) {
  rove(tabs, { onFocus: openTab });
  for (const tab of tabs) tab.addEventListener("click", () => openTab(tab));
  for (const list of document.querySelectorAll("[role=listbox]")) {
    rove([...list.querySelectorAll("[role=option]")], { grid: true });
  }
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      choice.set({ cloth: cloths.get(tile.dataset.color) });
      onPick();
    });
  }
  for (const input of cuts) {
    input.addEventListener("change", () => {
      choice.set({ cut: input.value });
      onPick();
    });
  }
  choice.addEventListener("change", show);
}

/** Open the tab of the chosen cloth, for a state that came from the address or an earlier order. */
export function reveal() {
  const id = choice.cloth?.kind === "photo" ? "photo" : choice.cloth?.familyId;
  const tab = id && document.getElementById(`tab-${id}`);
  if (tab) openTab(tab);
}

function show() {
  const chosen = choice.cloth?.kind === "catalogue" ? choice.cloth.colorId : null;
  for (const tile of tiles) {
    tile.setAttribute("aria-selected", String(tile.dataset.color === chosen));
  }
  for (const input of cuts) input.checked = input.value === choice.cut;
}

// One tab stop for the group; arrows, Home and End move the focus within it.
function rove(items, { grid = false, onFocus = () => {} }) {
  const go = (item) => {
    for (const other of items) other.tabIndex = other === item ? 0 : -1;
    item.focus();
    onFocus(item);
  };
  for (const [place, item] of items.entries()) {
    item.addEventListener("focus", () => {
      for (const other of items) other.tabIndex = other === item ? 0 : -1;
    });
    item.addEventListener("keydown", (event) => {
      const step = steps(items, grid)[event.key];
      if (step === undefined) return;
      event.preventDefault();
      go(items[Math.max(0, Math.min(items.length - 1, place + step))]);
    });
  }
}

function steps(items, grid) {
  const row = grid ? columns(items) : 0;
  const across = { ArrowLeft: -1, ArrowRight: 1, Home: -items.length, End: items.length };
  return grid ? { ...across, ArrowUp: -row, ArrowDown: row } : across;
}

function columns(items) {
  const top = items[0].offsetTop;
  const next = items.findIndex((item) => item.offsetTop > top);
  return next < 0 ? items.length : next;
}
