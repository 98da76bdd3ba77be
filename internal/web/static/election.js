// The election: the candidates, and those that vanished less than 15 s ago.
import { $, keep, make, plural, setText } from "./dom.js";
import { ago, now, since, span } from "./clock.js";

const goneFor = 15_000;
let ballot = null, gone = [];
let away = null; // why there is no newer data, and since when

export function elected(b) {
  const still = new Set(b.candidates.map((c) => c.znode));
  for (const c of ballot?.candidates || []) if (!still.has(c.znode)) gone.push({ candidate: c, seen: performance.now() });
  ballot = b;
  showElection();
}

// cutOff takes why there is no newer data, and since when; or null.
export function cutOff(why) {
  away = why;
  showElection();
}

export function showElection() {
  const b = ballot;
  if (!b) { // no data yet
    setText($("leadership"), away ? `${away.why}, for ${ago(away.since)}.` : "");
    $("leadership").className = "bad";
    return;
  }
  const there = new Set(b.candidates.map((c) => c.znode));
  gone = gone.filter((g) => since(g.seen) < goneFor && !there.has(g.candidate.znode));
  const who = new Map(b.candidates.map((c) => [c.znode, c.who || "somebody"]));
  const list = [...gone.map((g) => ({ ...g.candidate, gone: true })), ...b.candidates];
  keep($("candidates"), list, (c) => c.znode, () => make("li", {}, make("p", { class: "watch" }), make("div", {}, make("strong"), " ", make("span"), make("br"), make("code"))), (e, c) => {
    const [watch, card] = e.children;
    const silent = c.leads && b.silent;
    setText(watch, c.watches && !c.gone ? `↑ watches ${who.get(c.watches)}` : "");
    card.className = c.gone ? "gone" : silent ? "silent" : c.leads && !away && !b.error ? "leads" : "";
    setText(card.children[0], c.who || "somebody");
    setText(card.children[1], c.gone ? "vanished" : silent ? `has not answered for ${ago(b.silent)}` : c.leads ? `leads, for ${ago(c.since)}` : c.watches ? `backup, for ${ago(c.since)}` : "is next, and has not begun to lead");
    setText(card.children[3], c.znode);
  });
  const [text, level] = leadership(b);
  setText($("leadership"), text);
  $("leadership").className = level;
  setText($("told"), away ? `${away.why}.` : b.silent ? `${leader(b)} does not answer.` : leads(b)); // without times: a screen reader reads it aloud
}

const leader = (b) => b.candidates[0]?.who || "somebody";

// leadership says who leads, and how sure that is.
function leadership(b) {
  if (b.error) return [b.error, "bad"];
  if (away) return [`${away.why}, and this is as it was ${ago(away.since)} ago: ${leads(b)}`, "bad"];
  if (b.leaderless) return [(b.candidates.length ? "" : "No candidate: start a master. ") + leaderless(b), "bad"];
  if (b.candidates.length && b.silent)
    return [`${leader(b)} leads, but has not answered for ${ago(b.silent)}. If its process is dead, its session ends by itself, and then the next candidate leads.`, "warn"];
  return [leads(b) + before(b), ""];
}

function leads(b) {
  if (!b.candidates.length || b.leaderless) return "nobody leads.";
  const backups = b.candidates.length - 1 + (b.more || 0);
  return `${leader(b)} leads` + (backups ? `, ${plural(backups, "backup")} behind it.` : ", and there is no backup.");
}

const lastHeard = (b) => `${b.before} fell silent, and its session lasted ${exact(b.unheard_seconds)} more.`;

function leaderless(b) {
  const gap = (now() - new Date(b.leaderless)) / 1000;
  if (!b.before) return b.candidates.length ? "Nobody leads: the first candidate has not begun." : "";
  if (b.unheard_seconds) return `Nobody has led for ${span(gap + b.unheard_seconds)}: ${lastHeard(b)}`;
  return `Nobody leads: the znode of the leader before, ${b.before}, has been gone for ${span(gap)}.`;
}

// before is about the time before the leader began. The znode of a dead leader stays until its
// session ends: only a page that listened to it knows how long nobody led.
function before(b) {
  if (b.unheard_seconds) return ` Before it began, nobody led for ${exact(b.unheard_seconds + b.gap_seconds)}: ${lastHeard(b)}`;
  if (b.gap_seconds) return ` The znode of the leader before it was gone for ${exact(b.gap_seconds)}.`;
  return "";
}

function exact(s) {
  if (s < 1) return `${Math.max(1, Math.round(s * 1000))} ms`;
  return s < 10 ? `${s.toFixed(1)} s` : span(s);
}
