// The page shows server-sent events, each with a part of the page as JSON.
import { $, keep, row, setText } from "./dom.js";
import { addRates, forgetRates, showCharts } from "./charts.js";
import { ago, beat, since, span } from "./clock.js";
import { cutOff, elected, showElection } from "./election.js";
import { addRecords, forgetRecords } from "./records.js";
import { showView, viewed } from "./view.js";

const silence = 5000; // in ms: a beat comes every 2 s
let servers = { list: [] };

function showServers() {
  const s = servers;
  keep($("servers"), s.list, (x) => x.address, () => row(5), (e, x) => {
    [x.address, x.mode || "–", x.latency || "–", x.connections || "–", x.error || ""].forEach((text, i) => setText(e.children[i], text));
    e.children[4].className = "bad";
  });
  $("servers").parentElement.classList.toggle("well", !s.list.some((x) => x.error));
  setText($("quorum"), s.away ? `No server serves, for ${ago(s.away)}. Everything waits; when a majority of the servers serves again, all goes on by itself.` : s.quorum || "");
  $("quorum").className = s.away ? "bad" : s.quorum && s.spare < 1 ? "warn" : "";
}

const parts = {
  beat,
  who(w) {
    setText($("where"), `${w.who}, ${w.servers.join(",")}${w.chroot}, version ${w.version}`);
    document.title = `taskkeeper ${w.chroot || w.servers[0]}`;
  },
  election: elected,
  view: viewed,
  servers(s) {
    servers = s || { list: [] };
    cutOff(servers.away ? { why: "No ZooKeeper server serves", since: servers.away } : servers.lost ? { why: "This master has no connection to ZooKeeper", since: servers.lost } : null);
    showServers();
  },
  rates: addRates,
  records: addRecords,
};

// The events of this master, when the last one came, and whether none comes now.
let source, heard, still = false;

function show(link, good) {
  setText($("link"), link);
  $("link").className = good ? "good" : "bad";
  still = !good;
  $("main").classList.toggle("still", still);
}

// connect reads the events only while the page is visible: a browser has few connections for all tabs.
function connect() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource("events");
  source.onopen = () => { forgetRates(); forgetRecords(); }; // they are sent whole again
  source.onerror = () => {
    if (since(heard) < silence) show("this master does not answer; trying again …", false);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  for (const [name, part] of Object.entries(parts)) source.addEventListener(name, (e) => {
    heard = performance.now();
    show("live", true);
    part(JSON.parse(e.data));
  });
}

function seen() {
  heard = performance.now();
  connect();
}

// again shows new ages; or that this master is silent, and then all else stays as it was.
function again() {
  if (document.hidden) return;
  if (since(heard) > silence) show(`this master has sent nothing for ${span(since(heard) / 1000)}: it stands still, or cannot be reached`, false);
  if (still) return;
  showElection();
  showView();
  showServers();
  showCharts();
}

document.addEventListener("visibilitychange", seen);
seen();
setInterval(again, 1000);
