// One order's way: placed once however often it is sent, followed until it is settled.

import { Refused, Unreachable, backOff, newKey, pause, request } from "./http.js";
import { t } from "./strings.js";

const PLACE = "/api/v1/generations";
const SETTLED = new Set(["completed", "failed", "canceled", "expired"]);
// A draft takes well under a second: the first looks are close together, later ones as the server asks.
const FIRST_LOOKS_MS = [120, 120, 150, 200, 250, 350, 500, 700];
const LOOK_MS = 1500;
const HIDDEN_LOOK_MS = 15_000;

export function isSettled(generation) {
  return SETTLED.has(generation.status);
}

/** Send the order until the server has answered. `onTrouble(sentence | null)` says why it takes long. */
export function place(body, options) {
  return send(PLACE, body, options);
}

/** The order that draws the weave of a picture. */
export function placeDetail(imageId, options) {
  return send(`/api/v1/images/${encodeURIComponent(imageId)}/detail`, undefined, options);
}

async function send(url, json, { signal, onTrouble }) {
  const headers = { "Idempotency-Key": newKey() };
  return persist(() => request(url, { method: "POST", headers, json, signal }), {
    signal,
    onTrouble,
    // The same key is being answered on another connection: ask again, it will say the same.
    passing: (error) => error.passing || error.status === 409,
  });
}

/** One order as it stands now. */
export async function read(id, signal) {
  return (await request(`${PLACE}/${encodeURIComponent(id)}`, { signal })).body;
}

/** Call onChange with the order each time it changed, until it is settled. */
export async function follow(generation, { signal, onTrouble, onChange }) {
  let current = generation;
  let etag = null;
  let asked = null;
  for (let look = 0; !isSettled(current); look++) {
    await pause(untilNextLook(look, asked), signal);
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await persist(() => request(current.urls.self, { headers, signal }), {
      signal,
      onTrouble,
      passing: (error) => error.passing,
    });
    asked = answer.retryAfterMs;
    if (answer.status === 304 || answer.body.version < current.version) continue;
    etag = answer.etag;
    current = answer.body;
    onChange(current);
  }
  return current;
}

/** The order after canceling it; as it is when it had already settled. */
export async function cancel(generation) {
  try {
    return (await request(generation.urls.cancel, { method: "POST" })).body;
  } catch (error) {
    if (error instanceof Refused && error.status === 409) return read(generation.id);
    throw error;
  }
}

function untilNextLook(look, askedMs) {
  if (document.visibilityState === "hidden") return HIDDEN_LOOK_MS;
  if (look < FIRST_LOOKS_MS.length) return FIRST_LOOKS_MS[look];
  return (askedMs || LOOK_MS) * (0.9 + Math.random() * 0.2);
}

async function persist(ask, { signal, onTrouble, passing }) {
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await ask();
      if (attempt) onTrouble(null);
      return answer;
    } catch (error) {
      const lost = error instanceof Unreachable;
      if (!lost && !(error instanceof Refused && passing(error))) throw error;
      const wait = Math.max(backOff(attempt), error.retryAfterMs ?? 0);
      onTrouble(lost ? t("stage.retrying") : whyLater(error, wait));
      await pause(wait, signal);
    }
  }
}

function whyLater(error, wait) {
  if (error.status === 429) return t("stage.too_many", { n: Math.ceil(wait / 1000) });
  return t("stage.busy_server");
}
