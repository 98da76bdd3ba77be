// The charts of the last seconds.
import { $, number } from "./dom.js";
import { now } from "./clock.js";

const samples = 300;
let rates = [];

export function addRates(more) {
  rates = [...rates, ...more].slice(-samples);
  showCharts();
}

export function showCharts() {
  chart($("chart-finished"), [{ field: "finished", class: "a", label: "finished a second" }], 1);
  chart($("chart-times"), [{ field: "waited", class: "a", label: "seconds until assigned" }, { field: "held", class: "b", label: "seconds from then on" }], .01);
}

export function forgetRates() { rates = []; }

// chart draws lines over the last five minutes.
function chart(into, lines, unit) {
  const w = Math.max(240, into.clientWidth), h = 134, left = 40, right = 6, top = 8, bottom = 24;
  const end = Math.floor(now() / 1000);
  const points = rates.filter((r) => end - r.time <= samples);
  const top10 = nice(Math.max(unit, ...points.flatMap((r) => lines.map((l) => r[l.field] ?? 0))));
  const x = (t) => left + (w - left - right) * (1 - (end - t) / samples);
  const y = (v) => top + (h - top - bottom) * (1 - v / top10);
  const svg = (tag, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text) e.textContent = text;
    return e;
  };
  const label = lines.map((l) => {
    const last = points.findLast((r) => r[l.field] !== null);
    return `${l.label}: ${last ? digits(last[l.field]) : "nothing yet"}`;
  }).join("; ");
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
    let d = "", before = 0; // the time of the last point of the line; 0: the line is broken
    for (const r of points) {
      const v = r[l.field], joined = before && r.time - before <= 3;
      if (v !== null) d += (joined ? "L" : "M") + `${x(r.time).toFixed(1)} ${y(v).toFixed(1)}` + (joined ? "" : "m-1 0h2"); // a single point is a dot
      before = v === null ? 0 : r.time;
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
