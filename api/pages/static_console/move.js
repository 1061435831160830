// A fabric is dragged by its swatch to another family; the menu below the list does the same.

const OVER = "drop-over";

export function moveByDragging(form) {
  const drop = form.querySelector("[data-drop]");
  for (const swatch of form.querySelectorAll(".with-swatch")) {
    swatch.addEventListener("dragstart", (event) => {
      event.dataTransfer.effectAllowed = "move";
      tick(form, swatch.closest("tr").querySelector("[name=ids]"));
      requestAnimationFrame(() => (drop.hidden = false)); // at once would end the dragging
    });
    swatch.addEventListener("dragend", () => (drop.hidden = true));
  }
  for (const family of drop.querySelectorAll("[data-family]")) receive(form, family);
}

// What is ticked moves together with the one that is dragged, if that is one of them.
function tick(form, box) {
  if (box.checked) return;
  for (const other of form.querySelectorAll("[name=ids]")) other.checked = other === box;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

function receive(form, family) {
  family.addEventListener("dragover", (event) => {
    event.preventDefault();
    family.classList.add(OVER);
  });
  family.addEventListener("dragleave", () => family.classList.remove(OVER));
  family.addEventListener("drop", (event) => {
    event.preventDefault();
    form.elements.to_family.value = family.dataset.family;
    form.requestSubmit(form.querySelector("button[value=move]"));
  });
}
