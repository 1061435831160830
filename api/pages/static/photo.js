// The client's own cloth: take or pick a photo, say how wide it is, upload it. Until the upload is
// done this cloth cannot be ordered, and nothing else is ordered in its place.

import { choice } from "./choice.js";
import { inWords } from "./http.js";
import { t } from "./strings.js";

const UPLOAD = "/api/v1/swatches";
const BYTES_MAX = 10 * 1024 * 1024;
const TYPES = new Set(["image/jpeg", "image/png", "image/webp"]);
const WIDTH_MM = { min: 5, max: 2000 };
const KEPT = "muestra";

const element = (id) => document.getElementById(`photo-${id}`);
const status = element("status");
const progress = element("progress");
const width = element("width");
const use = element("use");
const likeness = element("likeness");
const preview = element("preview");

let file = null;
let sending = null;
let cloth = null;
let onPick = () => {};

/** The photo that was uploaded earlier in this tab, if the server still has it. */
export function restored() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!kept || new Date(kept.expiresAt) <= new Date()) return null;
  return kept;
}

/** Wire the panel. `whenPicked` runs when a photo was taken and again when it can be ordered. */
export function wire(whenPicked) {
  onPick = whenPicked;
  for (const input of document.querySelectorAll("[data-photo]")) {
    input.addEventListener("change", () => {
      if (input.files[0]) take(input.files[0]);
      input.value = "";
    });
  }
  use.addEventListener("click", () => send());
  width.addEventListener("input", changed);
  likeness.addEventListener("change", () => {
    if (cloth) put({ colorId: likeness.value || null });
    if (cloth?.state === "ready") onPick();
  });
  width.addEventListener("keydown", (event) => event.key === "Enter" && send());
}

/** Show again the photo that is the chosen cloth (after a reload). */
export function showAgain(kept) {
  cloth = kept;
  open(true);
  preview.src = kept.url;
  width.value = kept.widthMm ?? "";
  width.readOnly = true; // the file itself is gone: another width needs another photo
  likeness.value = kept.colorId ?? "";
  say(kept.widthMm ? t("photo.ready", { mm: kept.widthMm }) : t("photo.ready_no_width"));
  use.hidden = true;
}

function take(picked) {
  sending?.abort();
  const refusal = whyNot(picked);
  if (refusal) {
    file = null;
    open(false);
    put({ state: "failed" });
    say(refusal, "alarm");
    return;
  }
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  file = picked;
  width.readOnly = false;
  preview.src = URL.createObjectURL(picked);
  open(true);
  use.hidden = false;
  use.textContent = use.dataset.first ??= use.textContent;
  likeness.value = choice.cloth?.colorId ?? likeness.value;
  put({ state: "chosen", url: preview.src, swatchId: null, colorId: likeness.value || null });
  say("");
  onPick();
}

function open(withPhoto) {
  element("chosen").hidden = !withPhoto;
  element("intro").hidden = withPhoto;
}

function whyNot(picked) {
  if (/\.hei[cf]$/i.test(picked.name) || /hei[cf]/.test(picked.type)) return t("photo.heic");
  if (!TYPES.has(picked.type)) return t("photo.wrong_type");
  if (picked.size === 0) return t("photo.empty");
  if (picked.size > BYTES_MAX) return t("photo.too_large");
  return null;
}

// Another width is another cloth: what was uploaded with the old one may not be ordered as this one.
function changed() {
  width.removeAttribute("aria-invalid");
  if (!file || cloth?.state === "chosen") return;
  sending?.abort();
  put({ state: "chosen", swatchId: null });
  use.hidden = false;
  say("");
}

function widthMm() {
  const written = width.value.trim().replace(",", ".");
  if (!written) return null;
  const value = Number(written);
  return value >= WIDTH_MM.min && value <= WIDTH_MM.max ? value : NaN;
}

async function send() {
  const mm = widthMm();
  if (Number.isNaN(mm)) {
    width.setAttribute("aria-invalid", "true");
    width.focus();
    say(t("photo.bad_width", WIDTH_MM), "alarm");
    return;
  }
  if (!file) return;
  use.hidden = true;
  put({ state: "uploading" });
  bar(0);
  try {
    const swatch = await upload(file, mm);
    ready(swatch, mm);
    onPick();
  } catch (error) {
    if (error.name === "AbortError") return;
    put({ state: "failed" });
    say(error.message, "alarm");
    use.textContent = t("photo.again");
    use.hidden = false;
  } finally {
    if (!sending) progress.hidden = true;
  }
}

function ready(swatch, mm) {
  const known = {
    swatchId: swatch.id,
    url: swatch.url,
    widthMm: mm,
    expiresAt: swatch.expires_at,
  };
  put({ state: "ready", ...known });
  say(mm ? t("photo.ready", { mm }) : t("photo.ready_no_width"));
}

// XMLHttpRequest, because fetch cannot say how much of a body has been sent.
function upload(picked, mm) {
  const form = new FormData();
  form.append("file", picked);
  if (mm) form.append("width_mm", String(mm));
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    sending = call;
    const end = (settle, value) => {
      if (sending === call) sending = null;
      settle(value);
    };
    call.upload.onprogress = (event) => event.lengthComputable && bar(event.loaded / event.total);
    call.onload = () => {
      const body = parsed(call.responseText);
      if (call.status === 201 && body) end(resolve, body);
      else end(reject, new Error(inWords(call.status, body)));
    };
    call.onerror = () => end(reject, new Error(t("photo.network")));
    call.ontimeout = call.onerror;
    call.onabort = () => end(reject, new DOMException("", "AbortError"));
    call.open("POST", UPLOAD);
    call.timeout = 120_000;
    call.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function bar(share) {
  const n = Math.round(share * 100);
  progress.hidden = false;
  progress.value = n;
  say(n < 100 ? t("photo.uploading", { n }) : t("photo.checking"));
}

function put(changes) {
  cloth = { kind: "photo", name: t("cloth.photo"), ...cloth, ...changes };
  if (cloth.state === "ready") sessionStorage.setItem(KEPT, JSON.stringify(cloth));
  else sessionStorage.removeItem(KEPT);
  choice.set({ cloth });
}

function say(sentence, tone = "plain") {
  status.textContent = sentence;
  status.dataset.tone = tone;
  status.scrollIntoView({ block: "nearest" });
}
