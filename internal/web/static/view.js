// What the leader knows: the queues, and the workers by process.
import { $, keep, make, number, plural, row, setLinked, setText, shortTask, taskLink } from "./dom.js";
import { since, span } from "./clock.js";

let view = null, seen = 0; // seen: when view came

const short = (id) => (id.length > 13 ? "…" + id.slice(-12) : id);
const queueName = (q) => q || "(default)";

export function viewed(v) {
  view = v;
  seen = performance.now();
  showView();
}

// ageOf is the age of a time by the leader's clock: until the leader sent it, and since then.
function ageOf(time) {
  const then = (new Date(view.now) - new Date(time)) / 1000;
  return span(then + (view.age_seconds || 0) + since(seen) / 1000);
}

export function showView() {
  const v = view;
  if (!v) return;
  let note = v.note || (v.from ? `From the leader, ${v.from}.` : "");
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
  setText($("others"), v.others ? `and ${plural(v.others, "more queue")}, with fewer tasks` : "");
  $("queues").parentElement.classList.toggle("well", !queues.some((q) => q.malformed));
  if (v.now) {
    const drained = v.drained || 0, draining = v.draining - drained;
    let text = `${plural(v.workers, "worker")}: ${number(v.busy)} busy`;
    if (draining) text += ` (${number(draining)} of them draining)`;
    text += `, ${number(v.workers - v.busy - drained)} free`;
    if (drained) text += `, ${number(drained)} drained: ${drained === 1 ? "it takes" : "they take"} no more tasks`;
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
      setText(what, `a worker is gone, for ${ageOf(p.lost.at)}`);
      setLinked(had, `; it had ${p.lost.tasks}`);
      details.hidden = true;
      return;
    }
    const busy = p.workers.filter((w) => w.tasks.length).length;
    const draining = p.workers.filter((w) => w.draining && w.tasks.length).length;
    const drained = p.workers.filter((w) => w.draining && !w.tasks.length).length;
    setText(name, p.pid ? `${p.host}:${p.pid}` : p.host);
    setText(what, `${p.queue ? "queue " + p.queue + ", " : ""}${busy} of ${plural(p.workers.length, "slot")} busy${draining ? `, ${draining} draining` : ""}${drained ? `, ${drained} drained` : ""}`);
    setText(had, p.workers[0].version ? `, version ${p.workers[0].version}` : "");
    keep(slots, p.workers, (w) => w.id, () => make("i"), (i, w) => { i.className = (w.tasks.length ? "busy " : "") + (w.draining ? "draining" : ""); });
    setText(details.children[0], "slots");
    if (!details.open) return;
    keep(details.children[1], p.workers, (w) => w.id, () => make("li", {}, make("code"), " ", make("span"), make("span", { class: "ids" }), make("span")), (li, w) => {
      const [id, has, tasks, rest] = li.children;
      setText(id, short(w.id));
      setText(has, w.tasks.length ? "has " : w.draining ? "drained" : "free");
      keep(tasks, w.tasks, (t) => t, (t) => taskLink(t, shortTask(t)), () => {});
      setText(rest, (w.more ? ` and ${w.more} more` : "") + (w.since ? `, for ${ageOf(w.since)}` : "") + (w.draining && w.tasks.length ? ", draining" : ""));
    });
  });
}
