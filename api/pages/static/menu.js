// The menu in the corner: closes like a menu, and changes the language without losing the place.

const menu = document.getElementById("menu");

export function wire() {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  for (const link of menu.querySelectorAll("[hreflang]")) {
    link.addEventListener("click", () => {
      const url = new URL(location.href);
      url.searchParams.set("lang", link.hreflang);
      link.href = url;
    });
  }
}
