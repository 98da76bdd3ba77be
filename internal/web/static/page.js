// The page shows what comes as server-sent events, each a part of it as JSON. All text from
// there is set as text, never as HTML.

export const $ = (id) => document.getElementById(id);
const state = { election: null, view: null, servers: { list: [] }, rates: [], records: [], gone: [], skew: 0 };
const mostRecords = 1000, samples = 300, goneFor = 15_000;

// make returns an element with attributes and children.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) if (v !== null && v !== undefined) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// setText leaves an element alone that says it already.
export function setText(e, text) { if (e.textContent !== text) e.textContent = text; }

// keep makes the children of a parent those of a list, each known by its key; update fills one in. What stays, stays the same element, so that nothing flickers and the focus is kept.
export function keep(parent, list, key, create, update) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of list) {
    const k = String(key(item));
    let e = old.get(k);
    if (e) old.delete(k);
    else { e = create(item); e.dataset.key = k; }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}

const now = () => Date.now() + state.skew;

function ago(time) { return span((now() - new Date(time).getTime()) / 1000); }

function span(s) {
  s = Math.max(0, s);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60 % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600 % 24)} h`;
}

export const number = (n) => n.toLocaleString("en");
const plural = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;
const short = (id) => (id.length > 13 ? "…" + id.slice(-12) : id);
// shortTask leaves out the end of a task's id: all tasks of a client end alike.
const shortTask = (id) => id.replace(/^(.{0,64}\.)?(.{18}).{2,}$/, "$1$2…");
const taskLink = (id, text) => make("a", { href: `task?id=${encodeURIComponent(id)}` }, text);
const madeIDs = /(?:[\w-]+\.)?[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

// setLinked is setText, with links to the tasks whose ids a client made.
function setLinked(e, text) {
  if (e.textContent === text) return;
  const nodes = [];
  let at = 0;
  for (const m of text.matchAll(madeIDs)) {
    nodes.push(text.slice(at, m.index), taskLink(m[0], m[0]));
    at = m.index + m[0].length;
  }
  e.replaceChildren(...nodes, text.slice(at));
}

const queueName = (q) => q || "(default)";

function showElection() {
  const b = state.election;
  if (!b) return;
  const there = new Set(b.candidates.map((c) => c.znode));
  const gone = state.gone.filter((g) => now() - g.at < goneFor && !there.has(g.candidate.znode));
  state.gone = gone;
  const list = [...gone.map((g) => ({ ...g.candidate, gone: g.at })), ...b.candidates];
  keep($("candidates"), list, (c) => c.znode, () => make("li", {}, make("strong"), " ", make("span"), make("br"), make("code")), (e, c) => {
    e.className = c.gone ? "gone" : c.leads ? "leads" : c.watches ? "watches" : "";
    setText(e.children[0], c.who || "somebody");
    setText(e.children[1], c.gone ? "vanished" : c.leads ? `leads, for ${ago(c.since)}` : c.watches ? `backup, for ${ago(c.since)}` : "is next, and has not begun to lead");
    setText(e.children[3], c.znode);
  });
  let text = "";
  if (b.error) text = b.error;
  else if (b.candidates.length === 0) text = "No candidate: start a master.";
  else if (b.leaderless) text = `Nobody has led for ${ago(b.leaderless)}.`;
  else {
    text = `${b.candidates[0].who} leads`;
    const backups = b.candidates.length - 1;
    text += backups ? `, ${plural(backups, "backup")} behind it.` : ", and there is no backup.";
    if (b.gap_seconds > 0) text += ` Before it began, nobody led for ${b.gap_seconds < 1 ? Math.max(1, Math.round(b.gap_seconds * 1000)) + " ms" : span(b.gap_seconds)}.`;
  }
  setText($("leadership"), text);
  $("leadership").className = b.error || b.leaderless ? "bad" : "";
}

function row(cells) { return make("tr", {}, make("th", { scope: "row" }), ...Array.from({ length: cells - 1 }, () => make("td"))); }

function showView() {
  const v = state.view;
  if (!v) return;
  let note = v.note || (v.from ? `As the leader, ${v.from}, tells.` : "");
  if (v.age_seconds) note += ` This is as it was ${span(v.age_seconds)} ago.`;
  setText($("view-note"), note);
  const queues = v.queues || [];
  keep($("queues"), queues, (q) => q.name, () => row(8), (e, q) => {
    const alone = q.pending > 0 && q.workers === 0;
    const cells = [queueName(q.name), number(q.pending), q.oldest_seconds ? span(q.oldest_seconds) : "–", number(q.running), number(q.done), number(q.failed), number(q.malformed), alone ? "none: start some" : number(q.workers)];
    cells.forEach((text, i) => setText(e.children[i], text));
    e.children[7].className = alone ? "bad" : "";
    e.children[5].className = q.failed ? "bad" : "";
  });
  setText($("others"), v.others ? `and ${plural(v.others, "more queue")}, with less to be done` : "");
  $("queues").parentElement.classList.toggle("well", !queues.some((q) => q.malformed));
  if (v.now) {
    let text = `${plural(v.workers, "worker")}: ${number(v.busy)} busy, ${number(v.workers - v.busy)} free`;
    if (v.draining) text += `, ${number(v.draining)} of them draining`;
    if (v.list.length < v.workers) text += `; ${number(v.list.length)} are shown`;
    setText($("crew"), v.workers ? text : "No worker: start one.");
  } else setText($("crew"), "");
  showProcesses(v);
}

function showProcesses(v) {
  const processes = new Map();
  for (const w of v.list || []) {
    const k = `${w.host}:${w.pid || w.id} ${w.queue}`;
    if (!processes.has(k)) processes.set(k, { key: k, host: w.host, pid: w.pid, queue: w.queue, workers: [] });
    processes.get(k).workers.push(w);
  }
  const lost = (v.lost || []).map((l) => ({ key: "lost " + l.id, lost: l }));
  keep($("processes"), [...lost, ...processes.values()], (p) => p.key, () => make("li", {}, make("strong"), " ", make("span"), make("span"), make("div", { class: "slots", "aria-hidden": "true" }), make("details", {}, make("summary"), make("ul"))), (e, p) => {
    const [name, what, had, slots, details] = e.children;
    if (p.lost) {
      e.className = "lost";
      setText(name, `${p.lost.host}:${p.lost.pid}`);
      setText(what, `a worker is gone, for ${ago(p.lost.at)}`);
      setLinked(had, `; it had ${p.lost.tasks}`);
      details.hidden = true;
      return;
    }
    const busy = p.workers.filter((w) => w.tasks.length).length;
    setText(name, p.pid ? `${p.host}:${p.pid}` : p.host);
    setText(what, `${p.queue ? "queue " + p.queue + ", " : ""}${busy} of ${plural(p.workers.length, "slot")} busy`);
    keep(slots, p.workers, (w) => w.id, () => make("i"), (i, w) => { i.className = (w.tasks.length ? "busy " : "") + (w.draining ? "draining" : ""); });
    setText(details.children[0], "slots");
    if (!details.open) return;
    keep(details.children[1], p.workers, (w) => w.id, () => make("li", {}, make("code"), " ", make("span"), make("span", { class: "ids" }), make("span")), (li, w) => {
      const [id, has, tasks, rest] = li.children;
      setText(id, short(w.id));
      setText(has, w.tasks.length ? "has " : "free");
      keep(tasks, w.tasks, (t) => t, (t) => taskLink(t, shortTask(t)), () => {});
      setText(rest, (w.more ? ` and ${w.more} more` : "") + (w.since ? `, for ${ago(w.since)}` : "") + (w.draining ? ", draining" : ""));
    });
  });
}

function showServers() {
  const s = state.servers;
  keep($("servers"), s.list, (x) => x.address, () => row(4), (e, x) => {
    setText(e.children[0], x.address);
    setText(e.children[1], x.mode || x.error || "");
    e.children[1].className = x.mode ? "" : "bad";
    setText(e.children[2], x.latency);
    setText(e.children[3], x.connections);
  });
  setText($("quorum"), s.away ? `No server serves, for ${ago(s.away)}. Everything waits, and goes on by itself.` : "");
  $("quorum").className = "bad";
}

function showRecords() {
  keep($("records"), [...state.records].reverse(), (r) => r.n, () => make("tr", {}, make("td"), make("td"), make("td")), (e, r) => {
    setText(e.children[0], new Date(r.time).toLocaleTimeString("en", { hour12: false }));
    setText(e.children[1], r.text);
    e.children[1].className = r.level === "error" ? "bad" : r.level === "warn" ? "warn" : "";
    setLinked(e.children[2], Object.entries(r.attrs).map(([k, v]) => `${k} ${v}`).join(", "));
    e.children[2].className = "id";
  });
}

// chart draws lines over the last five minutes.
function chart(into, lines, unit) {
  const w = Math.max(240, into.clientWidth), h = 134, left = 40, right = 6, top = 8, bottom = 24;
  const end = Math.floor(now() / 1000);
  const points = state.rates.filter((r) => end - r.time <= samples);
  const top10 = nice(Math.max(unit, ...points.flatMap((r) => lines.map((l) => r[l.field]))));
  const x = (t) => left + (w - left - right) * (1 - (end - t) / samples);
  const y = (v) => top + (h - top - bottom) * (1 - v / top10);
  const svg = (tag, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text) e.textContent = text;
    return e;
  };
  const last = points.at(-1);
  const label = lines.map((l) => `${l.label}: ${last ? digits(last[l.field]) : "nothing yet"}`).join("; ");
  const root = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": label });
  for (const part of [0, .5, 1]) {
    root.append(svg("line", { class: "axis", x1: left, x2: w - right, y1: y(part * top10), y2: y(part * top10) }));
    root.append(svg("text", { x: left - 4, y: y(part * top10) + 4, "text-anchor": "end" }, digits(part * top10)));
  }
  for (const minutes of [5, 4, 3, 2, 1, 0]) {
    const at = x(end - minutes * 60);
    root.append(svg("text", { x: at, y: h - 5, "text-anchor": minutes ? "middle" : "end" }, minutes ? `−${minutes} min` : "now"));
  }
  for (const l of lines) {
    let d = "", before = 0;
    for (const r of points) {
      d += `${before && r.time - before <= 3 ? "L" : "M"}${x(r.time).toFixed(1)} ${y(r[l.field]).toFixed(1)}`;
      before = r.time;
    }
    root.append(svg("path", { class: l.class, d }));
  }
  into.replaceChildren(root);
}

// nice is the next round number.
function nice(v) {
  const ten = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((f) => f * ten).find((n) => n >= v);
}

function digits(v) { return v >= 100 || Number.isInteger(v) ? number(Math.round(v)) : v >= 1 ? v.toFixed(1) : String(+v.toPrecision(2)); }

function showCharts() {
  chart($("chart-finished"), [{ field: "finished", class: "a", label: "finished a second" }], 1);
  chart($("chart-times"), [{ field: "waited", class: "a", label: "seconds until assigned" }, { field: "held", class: "b", label: "seconds from then on" }], .01);
}

let counted = 0;
const parts = {
  who(w) {
    setText($("where"), `${w.who}, ${w.servers.join(",")}${w.chroot}, version ${w.version}`);
    document.title = `taskkeeper ${w.chroot || w.servers[0]}`;
  },
  election(b) {
    const still = new Set(b.candidates.map((c) => c.znode));
    for (const c of state.election?.candidates || []) if (!still.has(c.znode)) state.gone.push({ candidate: c, at: now() });
    state.election = b;
    showElection();
  },
  view(v) {
    if (v.now) state.skew = new Date(v.now).getTime() + (v.age_seconds || 0) * 1000 - Date.now();
    state.view = v;
    showView();
  },
  servers(s) { state.servers = s || { list: [] }; showServers(); },
  rates(more) { state.rates = [...state.rates, ...more].slice(-samples); showCharts(); },
  records(more) {
    state.records = [...state.records, ...more.map((r) => ({ ...r, n: counted++ }))].slice(-mostRecords);
    showRecords();
  },
};

// connect reads what the page shows for as long as it is seen: a browser has few connections for all tabs.
let source;
function connect() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource("events");
  source.onopen = () => {
    setText($("link"), "live");
    $("link").className = "good";
    state.rates = []; state.records = []; // they come whole
  };
  source.onerror = () => {
    setText($("link"), "this master does not answer; trying again …");
    $("link").className = "bad";
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  for (const [name, show] of Object.entries(parts)) source.addEventListener(name, (e) => show(JSON.parse(e.data)));
}

document.addEventListener("visibilitychange", connect);
connect();
setInterval(() => { showElection(); showView(); showServers(); }, 1000); // ages
