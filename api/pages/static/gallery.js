// The gallery: pictures open in the viewer, stars are kept, two to four are compared.

import { request } from "./http.js";
import { t, tCount } from "./strings.js";
import * as viewer from "./viewer.js";

const choosing = document.getElementById("choosing");
const openers = [...document.querySelectorAll(".picture-open")];
const boxes = [...document.querySelectorAll("[name=image]")];

function pictures() {
  return openers.map(({ dataset }) => {
    const { id, url, caption } = dataset;
    return { id, url, caption, alt: caption };
  });
}

async function turnStar(button) {
  const starred = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(starred));
  try {
    await request(`/api/v1/images/${button.dataset.star}/star`, {
      method: starred ? "PUT" : "DELETE",
    });
  } catch {
    button.setAttribute("aria-pressed", String(!starred)); // it was not kept, and does not look so
    say(t("gallery.star_lost"));
  }
}

function showChosen() {
  const most = Number(choosing.dataset.most);
  const ticked = boxes.filter(({ checked }) => checked);
  for (const box of boxes) box.disabled = !box.checked && ticked.length >= most;
  document.getElementById("chosen").toggleAttribute("data-any", ticked.length > 0);
  document.getElementById("compare").setAttribute("aria-disabled", String(ticked.length < 2));
  say(ticked.length ? tCount("gallery.chosen", ticked.length) : t("gallery.choose_help", { most }));
}

function say(sentence) {
  document.getElementById("chosen-words").textContent = sentence;
}

viewer.wire();
for (const opener of openers) {
  opener.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    viewer.open(pictures(), opener.dataset.url);
  });
}
for (const button of document.querySelectorAll("[data-star]")) {
  button.addEventListener("click", () => turnStar(button));
}
if (choosing) {
  choosing.addEventListener("change", showChosen);
  choosing.addEventListener("submit", (event) => {
    if (document.getElementById("compare").getAttribute("aria-disabled") === "true") {
      event.preventDefault();
    }
  });
  addEventListener("pageshow", showChosen); // back from comparing, the ticks are still there
}
