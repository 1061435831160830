// One request, and how to wait before the next: time limits, problems in words, back-off with jitter.

import { t } from "./strings.js";

const TIME_LIMIT_MS = 15_000;
const LONGEST_WAIT_MS = 20_000;

/** The server understood and said no; `message` is for people. */
export class Refused extends Error {
  constructor(status, message, retryAfterMs) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  get passing() {
    return this.status === 429 || this.status >= 500 || this.status === 408;
  }
}

/** No answer came: no network, or nobody there. */
export class Unreachable extends Error {}

/** {status, body, etag, retryAfterMs}; body is null on 304. Throws Refused, Unreachable, AbortError. */
export async function request(url, { method = "GET", headers = {}, json, signal } = {}) {
  const limit = timeLimit(signal);
  const options = { method, headers, signal: limit.signal };
  if (json !== undefined) {
    options.headers = { ...headers, "Content-Type": "application/json" };
    options.body = JSON.stringify(json);
  }
  let response;
  let body = null;
  try {
    response = await fetch(url, options);
    if (response.status !== 304 && response.status !== 204) body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (!response || response.ok) throw new Unreachable(String(error));
  } finally {
    limit.over();
  }
  const retryAfterMs = waitAskedFor(response);
  if (!response.ok && response.status !== 304) {
    throw new Refused(response.status, inWords(response.status, body), retryAfterMs);
  }
  return { status: response.status, body, etag: response.headers.get("ETag"), retryAfterMs };
}

// AbortSignal.any, by hand: tablets live long and their browsers with them.
function timeLimit(signal) {
  const own = new AbortController();
  const abort = () => own.abort();
  const timer = setTimeout(abort, TIME_LIMIT_MS);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const over = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return { signal: own.signal, over };
}

function waitAskedFor(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : null;
}

/** What a problem document says, for people: the server's own sentence, else one of ours. */
export function inWords(status, problem) {
  if (status >= 500) return t("problem.server");
  if (status === 429) return t("problem.too_many");
  if (status === 401) return t("problem.signed_out");
  if (status === 403) return t("problem.forbidden");
  if (status === 404) return t("problem.not_found");
  // A rule of the house says one sentence; a list of schema findings is for programs.
  const findings = problem?.errors ?? [];
  const oneSentence = findings.every((finding) => finding.detail === problem.detail);
  return (oneSentence && problem?.detail) || t("problem.refused");
}

/** Milliseconds before try number `attempt` (0, 1, …): doubling, half of it by chance. */
export function backOff(attempt) {
  const full = Math.min(LONGEST_WAIT_MS, 500 * 2 ** attempt);
  return full / 2 + (Math.random() * full) / 2;
}

/** Wait; sooner when the network is back or the page is looked at again. Throws when aborted. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", looked);
      signal.removeEventListener("abort", stopped);
      resolve();
    };
    const looked = () => document.visibilityState === "visible" && done();
    const stopped = () => {
      done();
      reject(signal.reason);
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    document.addEventListener("visibilitychange", looked);
    signal.addEventListener("abort", stopped);
    if (signal.aborted) stopped();
  });
}

/** A random key; crypto.randomUUID is missing where a tablet reaches the shop by plain http. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
