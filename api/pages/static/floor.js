// The sales floor: joins choosing, ordering and showing.

import { BOTH, asked, choice, rememberOrder } from "./choice.js";
import * as chooser from "./chooser.js";
import { Refused } from "./http.js";
import * as menu from "./menu.js";
import { cancel, follow, isSettled, place, read } from "./order.js";
import * as photo from "./photo.js";
import * as presenting from "./present.js";
import * as recent from "./recent.js";
import * as search from "./search.js";
import * as stage from "./stage.js";
import { t } from "./strings.js";
import * as viewer from "./viewer.js";

const see = document.getElementById("see");
const reason = document.getElementById("reason");
const notice = document.getElementById("notice");
const offline = document.getElementById("offline");

const ENDED_EMPTY = new Set(["failed", "canceled", "expired"]); // worth ordering again

let current = null; // the order on the stage, with its cloth
let watching = null; // AbortController of its requests

const actions = {
  open: (url) => viewer.open(stage.pictures(), url),
  cancel: stop,
  again: (order) => start(order.cloth, cutsOf(order)),
  variant: (order) => start(order.cloth, cutsOf(order), newSeed()),
  before: (order, image) => recent.before(order.id, image.id),
  signIn: () => location.assign(`/console/sign-in?next=${encodeURIComponent(here())}`),
  present: () => {
    presenting.showTurns(Boolean(turned(1)));
    presenting.start();
  },
};

function here() {
  return location.pathname + location.search;
}

function cutsOf(order) {
  return order.cuts.map(({ cut }) => cut);
}

function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** Another order of the strip than the one on the stage. */
function turned(step) {
  const other = current?.id && recent.beside(current.id, step);
  return other && other.id !== current.id ? other : null;
}

// --- ordering -----------------------------------------------------------------------------------

function chosenCuts() {
  return choice.cut === BOTH ? chooser.allCuts() : [choice.cut];
}

async function start(cloth, cuts, seed = null) {
  if (cloth.kind === "photo" && !cloth.swatchId) return tell(t("reason.photo_expired"));
  leave();
  withdraw();
  const mine = new AbortController();
  watching = mine;
  const sending = unsent(cloth, cuts);
  present(sending);
  bringIntoView();
  try {
    const answer = await place(bodyOf(cloth, cuts, seed), {
      signal: mine.signal,
      onTrouble: (trouble) => mine.signal.aborted || present({ ...sending, trouble }),
    });
    const order = { ...answer.body, cloth };
    recent.add(order);
    await watch(order, mine);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof Refused)) throw error;
    const signedOut = error.status === 401;
    present({ ...ended(sending, "failed", "refused"), trouble: error.message, signedOut });
  }
}

// The server decides what is possible; a photo is ordered by its id and by nothing else.
function bodyOf(cloth, cuts, seed) {
  return {
    color_id: cloth.colorId ?? null,
    swatch_id: cloth.swatchId ?? null,
    cuts,
    seed,
    quality: "final",
  };
}

async function watch(order, mine) {
  rememberOrder(order.id);
  let latest = order;
  const take = (generation) => {
    latest = { ...generation, cloth: order.cloth };
    if (mine.signal.aborted) return;
    present(latest);
    recent.update(latest);
    recent.mark(order.id);
  };
  take(order);
  await follow(order, {
    signal: mine.signal,
    onChange: take,
    onTrouble: (trouble) => mine.signal.aborted || present({ ...latest, trouble }),
  });
}

// Another order takes the stage.
function leave() {
  watching?.abort();
  watching = null;
}

// Another cloth or cut was wanted instead: what is still being made for nobody is canceled.
function withdraw() {
  if (current?.urls && !isSettled(current)) cancel(current).catch(() => {});
}

async function stop(order) {
  if (!order.urls) {
    watching?.abort();
    present(ended(order, "canceled", "canceled"));
    return;
  }
  try {
    const after = await cancel(order);
    if (current?.id === order.id) present({ ...after, cloth: order.cloth });
  } catch {
    tell(t("stage.not_canceled"));
  }
}

function unsent(cloth, cuts) {
  return {
    id: null,
    cloth,
    status: "pending",
    images: [],
    queue: { ahead: null, workers_online: null },
    cuts: cuts.map((cut) => ({ cut, name: chooser.cutName(cut), status: "sending", progress: 0 })),
  };
}

function ended(order, status, cutStatus) {
  return { ...order, status, cuts: order.cuts.map((cut) => ({ ...cut, status: cutStatus })) };
}

function present(order) {
  current = order;
  stage.showOrder(order, actions);
  showConfirm();
}

/** The cloth that an order was placed for: its photo, else the catalogue's entry, else its own copy. */
function withCloth(generation) {
  const { fabric } = generation;
  const own = recent.photoOf(generation.id);
  const known = chooser.clothById(fabric.color_id);
  const copy = { kind: "catalogue", colorId: fabric.color_id, name: fabric.name };
  const photographed = { kind: "photo", name: t("cloth.photo"), url: fabric.swatch_url };
  const cloth = fabric.uploaded_swatch ? (own ?? photographed) : (known ?? copy);
  return { ...generation, cloth };
}

// --- the page -----------------------------------------------------------------------------------

function showConfirm() {
  const missing = choice.missing;
  const same = current && isSame(current);
  const busy = same && !isSettled(current);
  const done = same && current.status === "completed";
  see.setAttribute("aria-disabled", String(Boolean(missing || busy || done)));
  see.textContent = busy ? t("button.busy") : label();
  reason.textContent = missing ?? (done ? t("button.shown") : "");
  document.getElementById("chosen").textContent = choice.cloth?.name ?? "";
}

function label() {
  return choice.cut === BOTH ? t("button.see_all") : t("button.see");
}

function isSame(order) {
  const cuts = cutsOf(order);
  const { kind, swatchId, colorId } = order.cloth;
  const sameCloth =
    kind === choice.cloth?.kind &&
    (kind === "photo" ? swatchId === choice.cloth.swatchId : colorId === choice.cloth.colorId);
  return sameCloth && cuts.join() === chosenCuts().join();
}

// Once a suit is on the stage, another cloth or cut is one tap: it is ordered as it is picked.
function onPick() {
  if (stage.mode() !== "suits") return choice.cloth && stage.showCloth(choice.cloth);
  if (!choice.missing) order();
}

function order() {
  const shown = current && isSame(current) && !ENDED_EMPTY.has(current.status);
  if (!choice.missing && !shown) start(choice.cloth, chosenCuts());
}

async function show(generation) {
  const order = withCloth(generation);
  leave();
  const mine = new AbortController();
  watching = mine;
  const cut = order.cuts.length > 1 ? BOTH : order.cuts[0].cut;
  const { kind, swatchId, colorId } = order.cloth;
  const offered = kind === "photo" ? swatchId : chooser.clothById(colorId);
  current = order;
  choice.set(offered ? { cloth: order.cloth, cut } : { cut });
  chooser.reveal();
  await watch(order, mine).catch((error) => {
    if (!mine.signal.aborted) throw error;
  });
}

function bringIntoView() {
  document.getElementById("stage").scrollIntoView({ block: "nearest" });
}

function tell(sentence) {
  notice.textContent = sentence;
  notice.hidden = !sentence;
  if (sentence) setTimeout(() => tell(""), 6000);
}

function showNetwork() {
  offline.hidden = navigator.onLine;
}

async function begin() {
  chooser.wire(onPick);
  search.wire();
  photo.wire(onPick);
  viewer.wire();
  menu.wire();
  presenting.wire((step) => {
    const other = turned(step);
    if (other) show(other);
  });
  recent.wire(show);
  choice.addEventListener("change", showConfirm);
  see.addEventListener("click", order);
  for (const change of ["online", "offline"]) addEventListener(change, showNetwork);
  showNetwork();

  const { colorId, cut, orderId } = asked();
  const [first] = chooser.allCuts();
  const kept = photo.restored();
  if (kept) photo.showAgain(kept);
  choice.set({
    cloth: chooser.clothById(colorId) ?? kept,
    cut: chooser.cutName(cut) ? cut : first,
  });
  chooser.reveal();
  if (choice.cloth && !orderId) stage.showCloth(choice.cloth);
  recent.restore(withCloth);
  if (orderId) await reopen(orderId);
}

async function reopen(id) {
  try {
    await show(await read(id));
  } catch (error) {
    rememberOrder(null);
    tell(error instanceof Refused ? error.message : t("stage.not_read"));
    if (choice.cloth) stage.showCloth(choice.cloth);
  }
}

begin();
