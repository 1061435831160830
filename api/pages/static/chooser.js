// The left column: families as tabs, cloths as a listbox, cuts as radio buttons; all by keyboard too.

import { BOTH, choice } from "./choice.js";

const tabs = [...document.querySelectorAll("#families [role=tab]")];
const tiles = [...document.querySelectorAll("[role=option]")];
const board = document.getElementById("cloths");
const cuts = [...document.querySelectorAll("#cuts input")];

/** The cloth of a tile, as the rest of the page speaks of it. */
function clothOf(tile) {
  const { color, name, family, familyName, code, hex, swatch, widthMm, ...facts } = tile.dataset;
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
    composition: facts.composition,
    mill: facts.mill,
    weight: Number(facts.weight) || null,
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

/** The cuts that are ordered together, the first of the house's; the only one if there is one. */
export function allCuts() {
  const both = cuts.find((input) => input.value === BOTH);
  return both ? both.dataset.cuts.split(" ") : [...cutNames.keys()];
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
  rove(document.getElementById("families"), "[role=tab]", { onFocus: openTab });
  for (const tab of tabs) tab.addEventListener("click", () => openTab(tab));
  for (const list of document.querySelectorAll("[role=listbox]")) {
    rove(list, "[role=option]", { grid: true });
  }
  board.addEventListener("click", (event) => {
    const tile = event.target.closest("[role=option]");
    if (!tile) return;
    choice.set({ cloth: cloths.get(tile.dataset.color) });
    onPick();
  });
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

/** Mark the chosen cloth wherever it is shown: in its family, and among what was found. */
export function show() {
  const chosen = choice.cloth?.kind === "catalogue" ? choice.cloth.colorId : null;
  for (const tile of board.querySelectorAll("[aria-selected=true]")) {
    tile.setAttribute("aria-selected", "false");
  }
  if (chosen) {
    const shown = board.querySelectorAll(`[data-color="${CSS.escape(chosen)}"]`);
    for (const tile of shown) tile.setAttribute("aria-selected", "true");
  }
  for (const input of cuts) input.checked = input.value === choice.cut;
}

// One tab stop for the group; arrows, Home and End move the focus within it.
function rove(group, of, { grid = false, onFocus = () => {} }) {
  group.addEventListener("focusin", ({ target }) => {
    for (const other of group.querySelectorAll(`${of}[tabindex="0"]`)) other.tabIndex = -1;
    target.closest(of).tabIndex = 0;
  });
  group.addEventListener("keydown", (event) => {
    const items = [...group.querySelectorAll(of)];
    const step = steps(items, grid)[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const place = items.indexOf(event.target.closest(of)) + step;
    const item = items[Math.max(0, Math.min(items.length - 1, place))];
    item.focus();
    onFocus(item);
  });
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
