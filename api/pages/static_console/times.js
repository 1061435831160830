// Times come in UTC; whoever looks at them lives somewhere.

const { lang } = document.documentElement;
const EXACT = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });

export function sayTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const said = EXACT.format(new Date(time.dateTime));
    time.title = said;
    if ("exact" in time.dataset) time.textContent = said;
  }
}
