// The events: the log of this master, the newest line first.
import { $, make, setLinked } from "./dom.js";

const most = 1000;
const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium", hour12: false });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

export function forgetRecords() { $("records").replaceChildren(); }

export function addRecords(more) {
  const table = $("records");
  table.prepend(...more.slice(-most).reverse().map(line));
  while (table.children.length > most) table.lastElementChild.remove();
}

// when is a time, with its day if that is not today.
function when(time) {
  return (day.format(time) === day.format() ? "" : day.format(time) + ", ") + clock.format(time);
}

function line(r) {
  const what = make("td", { class: "id" });
  setLinked(what, Object.entries(r.attrs).map(([k, v]) => `${k} ${v}`).join(", "));
  const level = { error: "bad", warn: "warn" }[r.level];
  return make("tr", {}, make("td", {}, when(new Date(r.time))), make("td", { class: level }, r.text), what);
}
