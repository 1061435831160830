// Finding a cloth: words as they are typed, without accents, and facets. What matches is shown as
// copies of the tiles, best first; the families stay as they are underneath.

import { show as markChosen } from "./chooser.js";
import { t, tCount } from "./strings.js";

const MOST = 60; // tiles shown: more is not looked through, it is narrowed down
const AT_ONCE = 15; // of them before the next letter; the rest follows when there is time
const REST_MS = 300; // browsers let an address change only so often
const WORDS = "busca";

const board = document.getElementById("cloths");
const field = document.getElementById("search");
const opener = document.getElementById("facets-open");
const facets = document.getElementById("facets");
const boxes = [...facets.querySelectorAll("input")];
const kinds = [...new Set(boxes.map(({ name }) => name))];
const panel = document.getElementById("panel-found");
const list = document.getElementById("found");
const count = document.getElementById("found-count");

const entries = [...document.querySelectorAll("[data-color]")].map(entryOf);
const copies = new Map(); // tile → its copy among what was found: its picture is loaded once
let resting = 0;
let following = 0;

function fold(words) {
  return words.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// Where a word is found says how well it fits: the code, the name, then everything else.
function entryOf(tile) {
  const { code, name, color, familyName, family, composition, mill, colour, pattern, season } =
    tile.dataset;
  const tag = (tile.dataset.tags ?? "").split(",");
  const told = [colour, pattern, season].map(said);
  const facts = [color, familyName, composition, mill, ...told, ...tag];
  return {
    tile,
    code: fold(code),
    name: fold(name),
    rest: fold(facts.join(" ")),
    facets: { family, colour, pattern, season, tag },
  };
}

function said(value) {
  const box = value && boxes.find((one) => one.value === value);
  return box ? box.parentElement.textContent.trim() : "";
}

/** How well an entry fits these words, 0 for best; Infinity where one of them is nowhere. */
function distance(entry, words) {
  let sum = 0;
  for (const word of words) {
    const inName = entry.name.indexOf(word);
    if (entry.code.startsWith(word)) sum += entry.code.length === word.length ? 0 : 1;
    else if (inName === 0 || entry.name[inName - 1] === " ") sum += 2;
    else if (inName > 0 || entry.code.includes(word)) sum += 3;
    else if (entry.rest.includes(word)) sum += 5;
    else return Infinity;
  }
  return sum;
}

function wanted() {
  const words = fold(field.value).split(/\s+/).filter(Boolean);
  const chosen = kinds
    .map((kind) => [kind, boxes.filter((box) => box.name === kind && box.checked)])
    .filter(([, ticked]) => ticked.length)
    .map(([kind, ticked]) => [kind, new Set(ticked.map(({ value }) => value))]);
  return { words, chosen };
}

function found({ words, chosen }) {
  return entries
    .filter(({ facets: own }) => chosen.every(([kind, values]) => has(values, own[kind])))
    .map((entry) => ({ tile: entry.tile, far: distance(entry, words) }))
    .filter(({ far }) => far < Infinity)
    .sort((one, other) => one.far - other.far)
    .map(({ tile }) => tile);
}

function has(values, own) {
  return [own].flat().some((value) => values.has(value));
}

function copyOf(tile) {
  let copy = copies.get(tile);
  if (!copy) {
    copy = tile.cloneNode(true);
    copies.set(tile, copy);
  }
  return copy;
}

function search() {
  const { words, chosen } = wanted();
  const searching = words.length + chosen.length > 0;
  clearTimeout(resting);
  resting = setTimeout(() => remember(new Map(chosen)), REST_MS);
  board.toggleAttribute("data-searching", searching);
  panel.hidden = !searching;
  showChosen(chosen);
  if (searching) present(found({ words, chosen }));
}

function present(tiles) {
  clearTimeout(following);
  show(tiles.slice(0, AT_ONCE));
  const rest = tiles.slice(AT_ONCE, MOST);
  if (rest.length) following = setTimeout(() => append(rest), REST_MS / 2);
  list.hidden = tiles.length === 0;
  if (!tiles.length) count.textContent = t("search.none");
  else if (tiles.length > MOST) {
    count.textContent = t("search.first", { shown: MOST, n: tiles.length });
  } else count.textContent = tCount("search.found", tiles.length);
}

// What is there already stays where it is: most letters change little of what was found.
function show(tiles) {
  const wanted = tiles.map(copyOf);
  while (list.children.length > wanted.length) list.lastElementChild.remove();
  for (const [place, copy] of wanted.entries()) {
    const there = list.children[place];
    if (there === copy) continue;
    if (there) there.replaceWith(copy);
    else list.append(copy);
  }
  for (const copy of wanted) copy.tabIndex = copy === wanted[0] ? 0 : -1;
  markChosen();
}

function append(tiles) {
  const shown = tiles.map(copyOf);
  for (const copy of shown) copy.tabIndex = -1;
  list.append(...shown);
  markChosen();
}

function showChosen(chosen) {
  const ticked = chosen.reduce((sum, [, values]) => sum + values.size, 0);
  const badge = document.getElementById("facets-count");
  if (!badge) return;
  badge.hidden = ticked === 0;
  badge.textContent = String(ticked);
}

function clear() {
  field.value = "";
  for (const box of boxes) box.checked = false;
  search();
  field.focus();
}

function openFacets(open) {
  opener.setAttribute("aria-expanded", String(open));
  facets.hidden = !open;
}

function remember(chosen) {
  const url = new URL(location.href);
  const state = kinds.map((kind) => [kind, [...(chosen.get(kind) ?? [])].join()]);
  for (const [name, value] of [[WORDS, field.value.trim()], ...state]) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  if (url.href !== location.href) history.replaceState(null, "", url);
}

function restore() {
  const query = new URLSearchParams(location.search);
  field.value = query.get(WORDS) ?? "";
  for (const box of boxes) box.checked = (query.get(box.name) ?? "").split(",").includes(box.value);
  if (boxes.some((box) => box.checked)) openFacets(true);
  search();
}

/** Wire the field and the facets, and find what the address asks for. */
export function wire() {
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && field.value) clear();
    else if (event.key === "ArrowDown" && !panel.hidden) list.firstElementChild?.focus();
    else if (event.key === "Enter" && !panel.hidden) list.firstElementChild?.click();
    else return;
    event.preventDefault();
  });
  facets.addEventListener("change", search);
  opener?.addEventListener("click", () => openFacets(facets.hidden));
  document.getElementById("found-clear").addEventListener("click", clear);
  restore();
}
