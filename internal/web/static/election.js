// The election: the candidates, and those that have vanished not long ago.
import { $, keep, make, plural, setText } from "./dom.js";
import { ago, since, span } from "./clock.js";

const goneFor = 15_000;
let ballot = null, gone = [];

export function elected(b) {
  const still = new Set(b.candidates.map((c) => c.znode));
  for (const c of ballot?.candidates || []) if (!still.has(c.znode)) gone.push({ candidate: c, seen: performance.now() });
  ballot = b;
  showElection();
}

export function showElection() {
  const b = ballot;
  if (!b) return;
  const there = new Set(b.candidates.map((c) => c.znode));
  gone = gone.filter((g) => since(g.seen) < goneFor && !there.has(g.candidate.znode));
  const list = [...gone.map((g) => ({ ...g.candidate, gone: true })), ...b.candidates];
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
