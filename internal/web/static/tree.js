// The tree. It is read only while it is open.
import { $, keep, make, number, setText } from "./dom.js";

let source = null;

function showTree(t) {
  if (!t) return;
  setText($("tree-note"), t.error ? `${t.root}: ${t.error}` : `Below ${t.root}, read once a second.${t.more ? ` And ${number(t.more)} more.` : ""}`);
  $("tree-note").className = t.error ? "bad" : "note";
  keep($("tree-dirs"), t.dirs || [], (d) => d.key, newDirectory, (e, d) => {
    const [summary, meaning, data, list, more] = e.firstElementChild.children;
    const [name, mark, facts] = summary.children;
    setText(name, `/${d.name}`);
    setMark(e, mark, d);
    setText(facts, factsOf(d));
    setText(meaning, d.meaning);
    setData(data, d);
    keep(list, d.list, (z) => z.key, newZnode, updateZnode);
    setText(more, d.list_note ? `Its children are not shown: ${d.list_note}.` : d.more ? `and ${number(d.more)} more` : "");
  });
}

function newDirectory(d) {
  const summary = make("summary", {}, make("code"), " ", make("strong", { class: "mark" }), " ", make("span", { class: "note" }));
  const list = make("ul", { "aria-label": `children of /${d.name}` });
  return make("li", {}, make("details", d.list.length <= 12 ? { open: "" } : {}, summary,
    make("p", { class: "note" }), make("code", { class: "data" }), list, make("p", { class: "note" })));
}

function newZnode(z) {
  const name = z.task ? make("a", { href: z.task }, make("code")) : make("span", {}, make("code"));
  return make("li", {}, name, " ", make("strong", { class: "mark" }), " ", make("span", { class: "note" }), make("code", { class: "data" }));
}

function updateZnode(e, z) {
  const [name, mark, facts, data] = e.children;
  setText(name.firstElementChild, z.name);
  setMark(e, mark, z);
  setText(facts, factsOf(z));
  setData(data, z);
}

function factsOf(z) {
  const facts = [`version ${number(z.version)}`];
  if (z.ephemeral) facts.push("ephemeral");
  if (z.children) facts.push(z.children === 1 ? "1 child" : `${number(z.children)} children`);
  return facts.join(", ");
}

function setData(e, z) {
  setText(e, z.note || z.data);
  e.classList.toggle("note", Boolean(z.note));
}

function setMark(e, mark, z) {
  e.classList.toggle("changed", Boolean(z.change));
  e.classList.toggle("deleted", z.change === "deleted");
  setText(mark, z.change || "");
}

function follow() {
  source = new EventSource("tree");
  source.addEventListener("tree", (e) => showTree(JSON.parse(e.data)));
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setText($("tree-note"), "This master does not show its tree now; trying again …");
    source = null;
    setTimeout(toggled, 2000);
  };
}

function toggled() {
  const wanted = $("tree").open && !document.hidden;
  if (wanted && !source) {
    setText($("tree-note"), "reading …");
    follow();
  } else if (!wanted && source) {
    source.close();
    source = null;
  }
}

$("tree").addEventListener("toggle", toggled);
document.addEventListener("visibilitychange", toggled);
toggled();
