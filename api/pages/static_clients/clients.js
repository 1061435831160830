// The client book works without this: it finds as you type, copies, prints, and drags looks.

import { copyOnClick } from "./copy.js";
import { findAsTyped } from "./find.js";
import { sortByDragging } from "./sort.js";

for (const field of document.querySelectorAll("[data-find]")) findAsTyped(field);
for (const button of document.querySelectorAll("[data-copy]")) copyOnClick(button);
for (const list of document.querySelectorAll("[data-sortable]")) sortByDragging(list);
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
