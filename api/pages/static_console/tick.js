// One box that ticks all the boxes of its table, and says when only some are.

export function tickAll(box) {
  const boxes = [...box.closest("table").querySelectorAll("tbody input[type=checkbox]")];
  box.closest("label").hidden = boxes.length === 0;
  box.addEventListener("change", () => {
    for (const one of boxes) one.checked = box.checked;
  });
  for (const one of boxes) one.addEventListener("change", () => show(box, boxes));
}

function show(box, boxes) {
  const ticked = boxes.filter((one) => one.checked).length;
  box.checked = ticked === boxes.length;
  box.indeterminate = ticked > 0 && ticked < boxes.length;
}
