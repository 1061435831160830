// The list follows what is typed: the same page is read with the new words, its list is taken over.

const PAUSE_MS = 150;

export function findAsTyped(field) {
  let waiting = 0;
  let reading = null;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, PAUSE_MS);
  });

  async function find() {
    reading?.abort();
    reading = new AbortController();
    const url = `${field.form.action}?${new URLSearchParams(new FormData(field.form))}`;
    try {
      const answer = await fetch(url, { signal: reading.signal });
      if (answer.ok) show(await answer.text(), url);
    } catch (error) {
      if (error.name !== "AbortError") field.form.requestSubmit();
    }
  }
}

function show(html, url) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const part of ["#found", "#new"]) {
    document.querySelector(part).replaceWith(document.adoptNode(page.querySelector(part)));
  }
  history.replaceState(null, "", url);
}
