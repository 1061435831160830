// The console works without this: it keeps pages fresh, says times in the browser's own zone, and
// ticks whole lists, and lets fabrics be dragged.

import { keepFresh } from "./live.js";
import { moveByDragging } from "./move.js";
import { tickAll } from "./tick.js";
import { sayTimes } from "./times.js";

sayTimes(document);
for (const bar of document.querySelectorAll("[data-live]")) keepFresh(bar, sayTimes);
for (const box of document.querySelectorAll("[data-tick-all]")) tickAll(box);
for (const form of document.querySelectorAll("[data-move]")) moveByDragging(form);
