// Reads /stats once a second and shows it; rates are differences between readings.
"use strict";

const KEPT = 120; // readings: two minutes
const RATIO_READINGS = 60;
const readings = []; // { at: seconds, stats }

const byId = (id) => document.getElementById(id);
const show = (id, text) => { byId(id).textContent = text; };
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1, notation: "compact" });
const rateText = (rate) => (rate < 10 ? rate.toFixed(1) : whole.format(rate));
const sizeText = (bytes) => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;
const shareText = (part, all) => (all > 0 ? `${(100 * part / all).toFixed(1)} %` : "–");
const questions = (stats) => stats.hits + stats.misses;
const failures = (stats) => Object.entries(stats.answers)
  .reduce((sum, [code, count]) => sum + (code >= "500" ? count : 0), 0);

function durationText(seconds) {
  const [days, hours, minutes] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

// How much `of` grew a second between the last two readings; the first reading has the whole life before it.
function rate(of) {
  const now = readings.at(-1);
  const before = readings.at(-2);
  const seconds = before ? now.at - before.at : now.stats.uptime_s;
  const growth = of(now.stats) - (before ? of(before.stats) : 0);
  return seconds > 0 ? Math.max(0, growth) / seconds : 0;
}

function showHitRatio() {
  const now = readings.at(-1).stats;
  const first = readings.at(-1 - RATIO_READINGS) ?? readings[0];
  const hits = now.hits - first.stats.hits;
  const asked = questions(now) - questions(first.stats);
  show("hit-ratio", asked > 0 ? shareText(hits, asked) : shareText(now.hits, questions(now)));
  show("hit-ratio-note", asked > 0 ? "over the last minute" : "since the start");
}

// Two areas, misses stacked on hits: one unit of width a reading, the newest at the right.
function showChart() {
  const bars = [];
  for (let i = 1; i < readings.length; i += 1) {
    const [before, now] = [readings[i - 1], readings[i]];
    const grew = (of) => Math.max(0, of(now.stats) - of(before.stats)) / Math.max(0.001, now.at - before.at);
    bars.push({ hits: grew((stats) => stats.hits), all: grew(questions) });
  }
  const peak = Math.max(1, ...bars.map((bar) => bar.all));
  const area = (of) => {
    if (bars.length === 0) return "";
    const left = KEPT - bars.length;
    const points = bars.map((bar, i) => {
      const y = (40 - 38 * of(bar) / peak).toFixed(2);
      return `L${left + i} ${y}L${left + i + 1} ${y}`;
    });
    return `M${left} 40${points.join("")}L${KEPT} 40Z`;
  };
  byId("chart-hits").setAttribute("d", area((bar) => bar.hits));
  byId("chart-misses").setAttribute("d", area((bar) => bar.all));
  show("peak", rateText(bars.length ? peak : rate(questions)));
}

function showFill(bar, label, used, capacity) {
  byId(bar).hidden = !capacity;
  byId(bar).value = capacity ? Math.min(1, used / capacity) : 0;
  show(label, capacity ? `${sizeText(used)} of ${sizeText(capacity)} · ${shareText(used, capacity)}` : sizeText(used));
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function showAnswers(answers) {
  byId("answers").replaceChildren(...Object.keys(answers).sort().flatMap((code) => [
    element("dt", code, code >= "500" ? "bad" : ""),
    element("dd", whole.format(answers[code])),
  ]));
}

function showRegistries(registries) {
  byId("registries").replaceChildren(...registries.map((registry) => {
    const ended = registry.answered + registry.failed;
    const asked = rate((stats) => stats.registries.find((one) => one.country === registry.country)?.asked ?? 0);
    const row = document.createElement("tr");
    row.append(
      element("td", registry.country),
      element("td", rateText(asked)),
      ...["running", "asked", "answered", "failed"].map((name) => element("td", whole.format(registry[name]))),
      element("td", shareText(registry.failed, ended), registry.failed > ended / 10 ? "bad" : ""),
    );
    return row;
  }));
}

function showState(state) {
  byId("state").dataset.state = state;
  show("state", state === "gone" ? "not answering" : state);
}

function showStats() {
  const { stats } = readings.at(-1);
  showState(stats.draining ? "draining" : "serving");
  show("version", stats.version);
  show("uptime", durationText(stats.uptime_s));
  show("rate", rateText(rate(questions)));
  show("failures", rateText(rate(failures)));
  show("total", short.format(questions(stats)));
  show("waiting", whole.format(stats.customers_waiting));
  show("fetches", whole.format(stats.fetches_running));
  show("records", whole.format(stats.cache.records));
  for (const name of ["evictions", "expired", "oversize"]) show(name, whole.format(stats.cache[name]));
  for (const name of ["stored", "collapsed"]) show(name, whole.format(stats[name]));
  showFill("cache-fill", "cache-size", stats.cache.bytes, stats.cache.capacity_bytes);
  showFill("memory-fill", "memory-size", stats.rss_bytes, stats.memory_limit_bytes);
  showHitRatio();
  showChart();
  showAnswers(stats.answers);
  showRegistries(stats.registries);
}

async function read() {
  try {
    const reply = await fetch("stats", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    const stats = await reply.json();
    if (readings.length && stats.uptime_s < readings.at(-1).stats.uptime_s) readings.length = 0; // a new start
    readings.push({ at: stats.uptime_s, stats });
    if (readings.length > KEPT + 1) readings.shift();
    showStats();
  } catch {
    showState("gone");
  }
  setTimeout(read, 1000);
}

read();
