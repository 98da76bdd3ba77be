// Elements. All text that comes from a znode is set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

// make returns an element with attributes and children.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) if (v !== null && v !== undefined) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// setText does not touch an element that has this text already.
export function setText(e, text) { if (e.textContent !== text) e.textContent = text; }

// keep makes the children of a parent match a list. Each item is known by its key, and update fills its element in. An item that stays keeps its element, so that nothing flickers and the focus is kept.
export function keep(parent, list, key, create, update) {
  const items = new Map();
  for (const item of list) {
    let k = String(key(item));
    while (items.has(k)) k += " again"; // two items may have the same key
    items.set(k, item);
  }
  const old = new Map();
  for (const e of [...parent.children]) {
    if (items.has(e.dataset.key)) old.set(e.dataset.key, e);
    else e.remove(); // before any move: a moved element loses the focus
  }
  let at = parent.firstElementChild;
  for (const [k, item] of items) {
    let e = old.get(k);
    if (!e) { e = create(item); e.dataset.key = k; }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
}

export const number = (n) => n.toLocaleString("en");
export const plural = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;

// shortTask leaves out the end of a task's id, which is the same for all tasks of a client.
export const shortTask = (id) => id.replace(/^(.{0,64}\.)?(.{18}).{2,}$/, "$1$2…");
export const taskLink = (id, text) => make("a", { href: `task?id=${encodeURIComponent(id)}` }, text);
const madeIDs = /(?:[\w-]+\.)?[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

// setLinked is setText, with links to the tasks whose ids a client made.
export function setLinked(e, text) {
  if (e.textContent === text) return;
  const nodes = [];
  let at = 0;
  for (const m of text.matchAll(madeIDs)) {
    nodes.push(text.slice(at, m.index), taskLink(m[0], m[0]));
    at = m.index + m[0].length;
  }
  e.replaceChildren(...nodes, text.slice(at));
}

// row is a line of a table.
export function row(cells) { return make("tr", {}, make("th", { scope: "row" }), ...Array.from({ length: cells - 1 }, () => make("td"))); }
