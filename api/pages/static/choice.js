// What is chosen now: a cloth (of the catalogue, or a photo) and a cut. The address says the same.

import { t } from "./strings.js";

export const BOTH = "ambos";
const CLOTH = "tela";
const CUT = "corte";
const ORDER = "orden";
const LANGUAGE = "lang";

/** Fires "change" whenever the cloth or the cut is another one. */
class Choice extends EventTarget {
  cloth = null;
  cut = null;

  set({ cloth = this.cloth, cut = this.cut }) {
    this.cloth = cloth;
    this.cut = cut;
    remember(CLOTH, cloth?.kind === "catalogue" ? cloth.colorId : null);
    remember(CUT, cut);
    this.dispatchEvent(new Event("change"));
  }

  /** Why no order can be placed yet, in words; null when it can. */
  get missing() {
    if (!this.cloth) return t("reason.no_cloth");
    if (this.cloth.kind !== "photo") return null;
    if (this.cloth.state !== "ready") return t(`reason.photo_${this.cloth.state}`);
    return this.cloth.colorId ? null : t("reason.photo_unlike");
  }
}

export const choice = new Choice();

/** What the address asked for: {colorId, cut, orderId}, each null when absent. The language that it
 *  asked for is kept in a cookie from now on. */
export function asked() {
  remember(LANGUAGE, null);
  const query = new URLSearchParams(location.search);
  return { colorId: query.get(CLOTH), cut: query.get(CUT), orderId: query.get(ORDER) };
}

/** Let the address open this order again, here or on another device. */
export function rememberOrder(id) {
  remember(ORDER, id);
}

function remember(name, value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  if (url.href !== location.href) history.replaceState(null, "", url);
}
