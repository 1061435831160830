// The stage: an invitation, the chosen cloth laid out to scale, or the suits of one order. Every
// picture's caption is written from the order that made it, never from what is chosen now.

import { cutName } from "./chooser.js";
import { isSettled } from "./order.js";
import { Previews } from "./previews.js";
import { line, t, tCode, tCount } from "./strings.js";

const BOLT_PX_PER_CM = 52; // about life size on a tablet; the ruler in floor.css has the same
const PAINTING = new Set(["processing", "completed"]); // completed: its final picture is on the way
const PAINTED = /^sdxl/; // engines whose picture depends on its noise seed
const FADE_MS = 600; // longer than floor.css takes to bring a picture in
const CLOTH_OF_NEUTRAL = ".cut-picture:not(.cut-pictures) img";

const floor = document.getElementById("floor");
const invite = document.getElementById("invite");
const bolt = document.getElementById("bolt");
const suits = document.getElementById("suits");
const announce = document.getElementById("announce");

const figures = new Map(); // cut → Figure

function set(mode) {
  floor.dataset.stage = mode;
  invite.hidden = mode !== "empty";
  bolt.hidden = mode !== "cloth";
  suits.hidden = mode !== "suits";
}

export function mode() {
  return floor.dataset.stage;
}

/** Lay the cloth out, at one known scale. */
export async function showCloth(cloth) {
  set("cloth");
  const sheet = document.getElementById("bolt-cloth");
  const toScale = cloth.kind === "catalogue" && cloth.widthMm;
  const url = cloth.kind === "photo" ? cloth.url : cloth.swatchUrl;
  document.getElementById("bolt-name").textContent = cloth.name;
  document.getElementById("bolt-facts").textContent = line(
    cloth.familyName,
    cloth.code,
    cloth.composition,
    cloth.mill,
    cloth.weight ? t("cloth.weight", { n: cloth.weight }) : null,
    toScale || cloth.kind === "photo" ? null : t("cloth.no_scale"),
  );
  const ruler = document.getElementById("bolt-ruler");
  ruler.hidden = !toScale;
  sheet.setAttribute("aria-label", t("cloth.alt", { cloth: cloth.name }));
  sheet.classList.remove("loaded");
  sheet.style.backgroundImage = "none";
  sheet.style.backgroundColor = cloth.hex ?? "";
  if (!url) return;
  const picture = new Image();
  picture.src = url;
  await picture.decode().catch(() => {});
  if (document.getElementById("bolt-name").textContent !== cloth.name) return;
  sheet.style.backgroundImage = `url("${url}")`;
  sheet.style.backgroundSize = toScale
    ? `${(cloth.widthMm / 10) * BOLT_PX_PER_CM}px auto`
    : "cover";
  sheet.classList.add("loaded");
}

/** Show an order as it stands: `cloth` is what it was placed for, `actions` what its buttons do. */
export function showOrder(order, actions) {
  set("suits");
  const cuts = order.cuts.map(({ cut }) => cut);
  for (const cut of [...figures.keys()]) {
    if (!cuts.includes(cut)) figures.get(cut).remove();
  }
  suits.dataset.count = String(cuts.length);
  for (const entry of order.cuts) {
    const figure = figures.get(entry.cut) ?? new Figure(entry.cut);
    if (figure.root !== suits.children[order.cuts.indexOf(entry)]) suits.append(figure.root);
    figure.show(order, entry, actions);
  }
}

/** The pictures on the stage, for the viewer: [{id, url, caption, alt}]. */
export function pictures() {
  return [...figures.values()].map((figure) => figure.shown).filter(Boolean);
}

class Figure {
  constructor(cut) {
    this.cut = cut;
    this.shown = null;
    this.progress = { orderId: null, percent: 0 };
    this.previews = new Previews();
    this.root = node("figure", "suit");
    this.frame = this.root.appendChild(node("div", "suit-frame"));
    this.status = this.frame.appendChild(node("div", "suit-status"));
    this.caption = this.root.appendChild(node("figcaption", "caption suit-caption"));
    figures.set(cut, this);
  }

  remove() {
    this.root.remove();
    figures.delete(this.cut);
  }

  show(order, entry, actions) {
    const image = best(order.images, this.cut);
    if (image && image.id !== this.shown?.id) this.load(order, entry, image, actions);
    else if (image) this.adopt(order, entry, image, actions);
    this.root.toggleAttribute("data-stale", Boolean(this.shown) && this.shown.orderId !== order.id);
    this.neutral(!this.shown && !image);
    if (!PAINTING.has(entry.status)) this.veil?.remove();
    this.say(order, entry, image, actions);
    this.preview();
  }

  // While a photoreal picture is painted, what there is of it lies over its sketch.
  async preview() {
    const { order, entry } = this.latest;
    if (entry.status !== "processing" || !this.isPainting(order)) return;
    if (!this.previews.due(order, entry.progress)) return;
    const picture = await this.previews.newest(order, this.cut);
    if (!picture || !this.isPainting(order)) return;
    const before = this.veil;
    this.frame.querySelector(".suit-open").append(picture);
    setTimeout(() => before?.remove(), FADE_MS);
    const { order: now, entry: then, image, actions } = this.latest;
    this.say(now, then, image, actions);
  }

  get veil() {
    return this.frame.querySelector(".suit-preview");
  }

  /** The sketch of this very order is what is shown, and its final picture is not given up. */
  isPainting(order) {
    const { order: now, entry } = this.latest;
    const sketched = this.shown?.orderId === order.id && this.shown.stage === "draft";
    return sketched && now.id === order.id && PAINTING.has(entry.status);
  }

  // The new picture is decoded before it covers the old one; caption and picture change together.
  async load(order, entry, image, actions) {
    this.loading = image.id;
    const picture = node("img", "suit-picture");
    picture.src = image.url;
    try {
      await picture.decode();
    } catch {
      if (this.loading === image.id) this.lost(order, entry, actions);
      return;
    }
    if (this.loading !== image.id || !figures.has(this.cut)) return;
    this.root.removeAttribute("data-stale");
    this.neutral(false);
    this.opener(actions).append(picture);
    this.picture = picture;
    this.name(order, entry, image, actions);
    this.say(this.latest.order, this.latest.entry, image, actions);
    this.preview();
  }

  // Equal orders share a picture: what is shown is this one's too, and nothing else is on its way.
  adopt(order, entry, image, actions) {
    this.loading = image.id;
    if (this.shown.orderId !== order.id) this.name(order, entry, image, actions);
  }

  // Whose picture it is that is shown.
  name(order, entry, image, actions) {
    const { id, url, stage } = image;
    const words = { cloth: order.cloth.name, cut: named(entry) };
    this.picture.alt = t("stage.alt", words);
    this.picture.parentElement.setAttribute("aria-label", t("stage.open", words));
    const caption = t("viewer.caption", words);
    this.shown = { id, url, stage, orderId: order.id, caption, alt: this.picture.alt };
    this.describe(order, image, actions);
    if (stage === "final") announce.textContent = t("stage.done", words);
  }

  opener(actions) {
    const former = this.frame.querySelector(".suit-open");
    const button = node("button", "suit-open");
    button.type = "button";
    button.addEventListener("click", () => actions.open(this.shown.url));
    if (former) {
      const under = former.lastElementChild;
      under.alt = "";
      button.append(under);
      setTimeout(() => under.remove(), FADE_MS);
      const focused = former === document.activeElement;
      former.replaceWith(button);
      if (focused) button.focus();
    } else {
      this.frame.prepend(button);
    }
    return button;
  }

  describe(order, image, actions) {
    const words = node("div");
    const cut = named({ cut: this.cut, name: image.name });
    words.append(
      node("p", "caption-cloth", order.cloth.name),
      facts(t("stage.of_cut", { cut }), order.cloth.code),
    );
    if (image.truth) words.append(truthOf(image.truth));
    const notes = [...new Set(image.degraded.map((code) => tCode("degraded", code)))];
    for (const note of notes) words.append(node("p", "caption-notes", note));
    const download = node("a", "button button-plain", t("stage.download"));
    download.href = image.url;
    download.download = t("stage.file", { cloth: plain(order.cloth.name), cut: this.cut });
    const acts = node("div", "caption-acts");
    if (PAINTED.test(image.engine)) acts.append(act(t("stage.variant"), () => actions.variant(order)));
    if (image.stage === "final") acts.append(keep(order));
    const other = order.cuts.length === 1 && actions.before(order, image);
    if (other) acts.append(compareWith(other, image));
    acts.append(act(t("stage.present"), actions.present), download);
    this.caption.replaceChildren(words, acts);
  }

  neutral(visible) {
    const present = this.frame.querySelector(".suit-neutral");
    if (!visible) present?.remove();
    else if (!present) {
      const source = document
        .querySelector(`#cuts input[value="${CSS.escape(this.cut)}"]`)
        ?.parentElement.querySelector(CLOTH_OF_NEUTRAL);
      if (!source) return;
      const picture = node("img", "suit-neutral");
      picture.src = source.src;
      picture.alt = "";
      this.frame.prepend(picture);
    }
  }

  lost(order, entry, actions) {
    this.status.replaceChildren(
      card({
        tone: "alarm",
        title: t("stage.picture_lost"),
        button: [t("stage.retry"), () => actions.again(order)],
      }),
    );
  }

  say(order, entry, image, actions) {
    this.latest = { order, entry, image, actions };
    const arrived = image && this.shown?.id === image.id;
    const cancel = [t("stage.cancel"), () => actions.cancel(this.latest.order)];
    const again = order.signedOut
      ? [t("stage.sign_in"), actions.signIn]
      : [t("stage.retry"), () => actions.again(order)];
    const words = arrived
      ? overPicture(order, entry, image, cancel, this.veil ? t("stage.preview") : t("stage.draft"))
      : instead(order, entry, cancel, again);
    if (!this.shown) this.caption.replaceChildren(pendingCaption(order, entry));
    this.status.toggleAttribute("data-over", Boolean(arrived));
    if (arrived) this.status.dataset.over = "picture";
    const key = JSON.stringify(words, (name, value) => (typeof value === "function" ? 0 : value));
    if (key === this.said) return this.advance(words?.percent);
    this.said = key;
    const first = !this.status.firstChild;
    this.status.replaceChildren(...(words ? [card(words)] : []));
    this.status.firstChild?.classList.toggle("first", first);
    return this.advance(words?.percent);
  }

  // The bar never goes back, whatever order the answers come in.
  advance(percent) {
    if (percent === undefined) return;
    const id = this.latest.order.id;
    const before = this.progress.orderId === id ? this.progress.percent : 0;
    this.progress = { orderId: id, percent: Math.max(before, percent) };
    const bar = this.status.querySelector(".progress");
    if (!bar) return;
    bar.setAttribute("aria-valuenow", String(this.progress.percent));
    bar.previousElementSibling.lastElementChild.textContent = ` · ${t("stage.percent", { n: this.progress.percent })}`;
    bar.firstElementChild.style.transform = `scaleX(${this.progress.percent / 100})`;
  }
}

function instead(order, entry, cancel, again) {
  const title = t("stage.preparing", { cloth: order.cloth.name });
  switch (entry.status) {
    case "sending":
      return { title, text: order.trouble ?? t("stage.sending"), button: cancel };
    case "refused":
      return { tone: "alarm", title: t("stage.not_sent"), text: order.trouble, button: again };
    case "pending":
      return waiting(order, title, cancel);
    case "processing": {
      const text = order.trouble ?? t("stage.rendering");
      return { title, text, percent: entry.progress, button: cancel };
    }
    case "failed": {
      const failed = t("stage.failed_cut", { cut: named(entry) });
      const { code, detail } = entry.error ?? {};
      const why = detail && detail !== code ? detail : t("stage.failed_line");
      return { tone: "alarm", title: failed, text: why, button: again };
    }
    case "canceled":
      return { title: t("stage.canceled"), text: t("stage.canceled_line"), button: again };
    case "expired":
      return { tone: "alarm", title: t("stage.expired"), text: t("stage.expired_line"), button: again };
    default:
      return null; // completed: its picture is on the way
  }
}

function waiting(order, title, button) {
  const { ahead, workers_online: workers } = order.queue;
  if (workers === 0) return { title: t("stage.no_workers"), text: t("stage.no_workers_line"), button };
  const place = ahead ? tCount("stage.ahead", ahead) : t("stage.next_up");
  return { title, text: order.trouble ?? (ahead === null ? t("stage.waiting") : place), button };
}

function overPicture(order, entry, image, cancel, what) {
  if (image.stage !== "draft" || isSettled(order)) return null;
  if (entry.status === "failed") return { tone: "alarm", title: t("stage.failed"), text: entry.error?.detail };
  if (entry.status === "completed") return null;
  return { text: order.trouble ?? what, percent: entry.progress, button: cancel };
}

function pendingCaption(order, entry) {
  const words = node("div");
  words.append(
    node("p", "caption-cloth", order.cloth.name),
    facts(t("stage.of_cut", { cut: named(entry) })),
  );
  return words;
}

function card({ tone = "plain", title, text, percent, button }) {
  const root = node("div", "status-card");
  root.dataset.tone = tone;
  if (title) root.append(node("p", "status-title", title));
  const sentence = text && root.appendChild(node("p", "status-line", text));
  if (percent !== undefined) {
    sentence.append(node("span"));
    const bar = node("div", "progress");
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-label", text);
    bar.append(node("div", "progress-bar"));
    root.append(bar);
  }
  if (button) root.append(act(...button));
  return root;
}

/** Into somebody's book: the client book asks whose, and who is asking. */
function keep(order) {
  const link = node("a", "button button-plain", t("stage.keep"));
  link.href = `/clients?look=${encodeURIComponent(order.id)}`;
  return link;
}

function compareWith(other, image) {
  const link = node("a", "button button-plain act-wide", t("stage.compare"));
  link.title = t("stage.compare_label");
  link.setAttribute("aria-label", link.title);
  link.href = `/gallery/compare?image=${other.id}&image=${image.id}`;
  return link;
}

function act(words, run) {
  const press = node("button", "button button-plain", words);
  press.type = "button";
  press.addEventListener("click", run);
  return press;
}

function best(images, cut) {
  const own = images.filter((image) => image.cut === cut);
  return own.find((image) => image.stage === "final") ?? own[0] ?? null;
}

// In the page's language; a cut that is no longer offered keeps the name that its order has.
function named({ cut, name }) {
  return (cutName(cut) ?? name).toLocaleLowerCase(document.documentElement.lang);
}

// Each fact stays whole where the line breaks.
function facts(...parts) {
  const whole = parts.filter(Boolean).map((part) => node("span", "", part));
  const root = node("p", "caption-facts");
  root.append(...whole.flatMap((part, place) => (place ? [" · ", part] : [part])));
  return root;
}

// How true the picture is to its cloth, with the numbers that say so.
function truthOf({ grade, delta_e: colour, scale_error: scale }) {
  const root = node("p", `truth truth-${grade}`);
  const mark = root.appendChild(node("span", "truth-mark"));
  mark.setAttribute("aria-hidden", "true");
  const percent = scale === null ? null : `${scale < 0 ? "−" : "+"}${Math.abs(scale * 100).toFixed(1)}`;
  const numbers = line(
    t("truth.colour", { n: colour.toFixed(1) }),
    percent && t("truth.scale", { n: percent }),
  );
  root.append(`${tCode("truth", grade)} `, node("span", "truth-numbers", numbers));
  return root;
}

function plain(name) {
  const letters = name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return letters.replace(/[^a-z0-9]+/g, "-");
}

/** A new element with a class and, maybe, its text. */
export function node(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
