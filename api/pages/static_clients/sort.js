// Looks are put in order by dragging their pictures; letting go saves, as the buttons do.

const FAR_PX = 8; // less is a tap

export function sortByDragging(list) {
  for (const handle of list.querySelectorAll("[data-handle]")) {
    handle.addEventListener("pointerdown", (down) => begin(list, handle, down));
  }
}

function begin(list, handle, down) {
  if (down.button !== 0) return;
  const item = handle.closest("li");
  const before = [...list.children];
  handle.setPointerCapture(down.pointerId);
  const move = (event) => {
    if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < FAR_PX) return;
    item.classList.add("dragged");
    place(list, item, event.clientY);
  };
  const end = () => {
    handle.removeEventListener("pointermove", move);
    item.classList.remove("dragged");
    const moved = [...list.children].some((child, at) => child !== before[at]);
    if (moved) list.closest("form").requestSubmit();
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("lostpointercapture", end, { once: true });
}

// The dragged item goes before the first other whose middle is below the pointer.
function place(list, item, y) {
  const others = [...list.children].filter((child) => child !== item);
  const next = others.find((child) => {
    const box = child.getBoundingClientRect();
    return y < box.top + box.height / 2;
  });
  if (next ? item.nextElementSibling !== next : list.lastElementChild !== item) {
    list.insertBefore(item, next ?? null);
  }
}
