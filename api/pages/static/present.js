// Presenting: the suit and the name of its cloth, nothing else, for the client to look at.

const { body } = document;
const controls = document.getElementById("present");
const element = (id) => document.getElementById(`present-${id}`);

let awake = null; // while it lasts, the screen does not go dark
let opener = null;

export function isOn() {
  return !controls.hidden;
}

/** Show nothing but the pictures on the stage. */
export async function start() {
  opener = document.activeElement;
  body.dataset.presenting = "";
  controls.hidden = false;
  element("close").focus({ preventScroll: true });
  await document.documentElement.requestFullscreen?.().catch(() => {}); // not every tablet has it
  awake = await navigator.wakeLock?.request("screen").catch(() => null);
}

export function stop() {
  if (!isOn()) return;
  delete body.dataset.presenting;
  controls.hidden = true;
  awake?.release();
  awake = null;
  if (document.fullscreenElement) document.exitFullscreen();
  if (opener?.isConnected) opener.focus();
}

/** `turn(step)` shows the order before (-1) or after (1) the one on the stage. */
export function wire(turn) {
  element("close").addEventListener("click", stop);
  element("previous").addEventListener("click", () => turn(-1));
  element("next").addEventListener("click", () => turn(1));
  document.addEventListener("fullscreenchange", () => {
    if (!document.fullscreenElement) stop(); // left by the browser's own key or gesture
  });
  addEventListener("keydown", (event) => {
    if (!isOn() || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") stop();
    else if (event.key === "ArrowLeft") turn(-1);
    else if (event.key === "ArrowRight") turn(1);
  });
}

/** Whether there is anything to turn to. */
export function showTurns(any) {
  for (const id of ["previous", "next"]) element(id).hidden = !any;
}
