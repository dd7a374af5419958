"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const NAMES = DATA.systems.map(s => s.name), COLORS = ["var(--a)", "var(--b)", "var(--c)", "var(--d)"];
const $ = id => document.getElementById(id);
function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) key in node ? node[key] = value : node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const SVG = "http://www.w3.org/2000/svg";
function draw(tag, props, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(props)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
const percent = (value, digits = 1) => value === null ? "–" : (100 * value).toFixed(digits);

// rows: [{label, values: [{value, low, high}]}], one horizontal bar for each system
function barChart(rows, title, width = 640) {
  const systems = Math.max(...rows.map(r => r.values.length)), thick = systems > 2 ? 8 : 11, gap = 10;
  const left = width > 500 ? 150 : 110, height = rows.length * (systems * thick + gap) + 24;
  const most = Math.max(1e-9, ...rows.flatMap(r => r.values.map(v => v.high ?? v.value ?? 0)));
  const x = v => left + (width - left - 70) * v / most;
  const svg = draw("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title});
  rows.forEach((row, at) => {
    const top = at * (systems * thick + gap) + 6;
    svg.append(draw("text", {x: left - 8, y: top + systems * thick / 2 + 4, "text-anchor": "end", class: "ink"}, row.label));
    row.values.forEach((v, s) => {
      if (v.value === null || v.value === undefined) return;
      const y = top + s * thick;
      const rect = draw("rect", {x: left, y, width: Math.max(1, x(v.value) - left), height: thick - 2, fill: COLORS[s % 4], rx: 2});
      rect.append(draw("title", {}, `${NAMES[s] ?? ""} ${v.text ?? ""}`));
      svg.append(rect);
      if (v.low !== undefined) svg.append(draw("line", {x1: x(v.low), x2: x(v.high), y1: y + thick / 2 - 1, y2: y + thick / 2 - 1, stroke: "var(--ink)", "stroke-width": 1.5}));
      svg.append(draw("text", {x: x(v.high ?? v.value) + 6, y: y + thick - 2}, v.text ?? v.value));
    });
  });
  const box = make("div", {}, make("h3", {textContent: title}), svg);
  return box;
}
function legend() {
  return make("div", {className: "bar"}, ...(NAMES.length > 1 ? NAMES.map((n, i) => {
    const dot = make("span", {textContent: "■ " + n}); dot.style.color = COLORS[i % 4]; return dot;
  }) : []));
}

// A table that sorts by any column and filters by text; at most `most` rows are put into the page.
function table(place, columns, rows, most = 100) {
  let sorted = columns.findIndex(c => c.number), down = true, words = "", choice = "";
  const body = make("tbody"), note = make("span"), heads = [];
  const pick = columns.findIndex(c => c.choose);
  const filter = make("input", {type: "search", placeholder: "filter", "aria-label": "filter"});
  filter.oninput = () => { words = filter.value.trim().toLowerCase(); show(); };
  const bar = make("div", {className: "bar"}, filter);
  if (pick >= 0) {
    const select = make("select", {"aria-label": columns[pick].name}, make("option", {value: "", textContent: "all: " + columns[pick].name}),
      ...[...new Set(rows.map(r => r[pick]))].map(v => make("option", {value: v, textContent: v})));
    select.onchange = () => { choice = select.value; show(); };
    bar.append(select);
  }
  bar.append(note);
  const head = make("tr", {}, ...columns.map((c, at) => {
    const th = make("th", {textContent: c.name, className: c.number ? "n" : "", tabIndex: 0});
    th.dataset.sort = "1";
    th.onclick = () => { down = sorted === at ? !down : !!c.number; sorted = at; show(); };
    th.onkeydown = e => { if (e.key === "Enter") th.click(); };
    heads.push(th);
    return th;
  }));
  function show() {
    let found = rows.filter(r => (!choice || r[pick] === choice) && (!words || r.some(c => String(c ?? "").toLowerCase().includes(words))));
    found = [...found].sort((a, b) => (columns[sorted].number ? (a[sorted] ?? -1) - (b[sorted] ?? -1) : String(a[sorted]).localeCompare(String(b[sorted]), "hi")) * (down ? -1 : 1));
    heads.forEach((th, at) => at === sorted ? th.setAttribute("aria-sort", down ? "descending" : "ascending") : th.removeAttribute("aria-sort"));
    note.textContent = found.length > most ? `first ${most} of ${found.length}` : `${found.length}`;
    body.replaceChildren(...found.slice(0, most).map(r => make("tr", {}, ...r.map((cell, at) =>
      make("td", {className: columns[at].number ? "n" : "", textContent: columns[at].format ? columns[at].format(cell) : cell ?? "–"})))));
  }
  show();
  place.append(bar, make("div", {className: "scroll"}, make("table", {}, make("thead", {}, head), body)));
}

// ---- layers, forgiven words, confusions
$("layers").append(legend(), barChart(DATA.systems[0].layers.map((layer, at) => ({label: layer.name, values: DATA.systems.map(s => {
  const own = s.layers[at]; return {value: own.wer, low: own.interval[0], high: own.interval[1], text: percent(own.wer, 2)};
})})), "WER (%), with 95 % intervals"));
const forgiven = [];
DATA.systems.forEach(s => s.layers.forEach(layer => (layer.rules ?? [layer]).forEach(part => part.forgiven_pairs.forEach(([one, other, n]) =>
  forgiven.push([s.name, part === layer ? layer.name : `${layer.name}: ${part.name}`, one, other, n])))));
table($("forgiven"), [{name: "system"}, {name: "layer", choose: true}, {name: "reference"}, {name: "hypothesis"}, {name: "times", number: true}], forgiven);
const classes = Object.keys(DATA.systems[0].analysis.phonetic_classes);
$("classes").append(legend(), barChart(classes.map(name => ({label: name.replaceAll("_", " "), values: DATA.systems.map(s => {
  const n = s.analysis.phonetic_classes[name]; return {value: n, text: String(n)};
})})), "Wrong words by phonetic class", 400));
const confusions = [];
DATA.systems.forEach(s => {
  const a = s.analysis;
  a.substitutions.forEach(([x, y, n]) => confusions.push([s.name, "substituted", x, y, n]));
  a.deletions.forEach(([x, n]) => confusions.push([s.name, "deleted", x, "", n]));
  a.insertions.forEach(([x, n]) => confusions.push([s.name, "inserted", "", x, n]));
  a.letters.forEach(([x, y, n]) => confusions.push([s.name, "letter", x, y, n]));
  a.word_boundaries.forEach(([x, y, n]) => confusions.push([s.name, "word boundary", x, y, n]));
});
table($("confusions"), [{name: "system"}, {name: "kind", choose: true}, {name: "reference"}, {name: "hypothesis"}, {name: "times", number: true}], confusions, 60);

// ---- breakdowns
const TITLES = {duration_s: "duration (s)", words_per_second: "speaking rate (words a second)", snr_db: "signal-to-noise ratio (dB)", place_in_recording: "place in the recording"};
for (const [key, title] of Object.entries(TITLES)) {
  const first = DATA.systems[0].analysis.breakdowns[key];
  if (first) $("breakdowns").append(barChart(first.map((row, at) => ({label: row.value, values: DATA.systems.map(s => {
    const own = s.analysis.breakdowns[key][at]; return {value: own.wer, text: percent(own.wer)};
  })})), `WER (%) by ${title}`, 420));
}
DATA.systems.forEach(s => {
  const a = s.analysis, lines = [];
  if (a.insertions_at_silence) lines.push(`${s.name}: ${a.insertions_at_silence.silent} of ${a.insertions_at_silence.placed} inserted words are at a silence.`);
  if (a.unknown_words) lines.push(`${s.name}: ${percent(a.unknown_words.unknown.share)} % of ${a.unknown_words.unknown.words} words unknown to the language model are wrong, ${percent(a.unknown_words.known.share)} % of the known.`);
  lines.forEach(text => $("speakers").append(make("p", {textContent: text})));
});
if (DATA.systems[0].analysis.breakdowns.speaker) {
  const rows = DATA.systems.flatMap(s => s.analysis.breakdowns.speaker.map(r => [s.name, r.value, r.utterances, r.words, r.errors, r.wer]));
  table($("speakers"), [{name: "system", choose: true}, {name: "speaker"}, {name: "utterances"}, {name: "words"}, {name: "errors"}, {name: "WER", number: true, format: percent}], rows, 30);
}

// ---- confidence, n-best
function reliability(system, confidence, color) {
  const size = 300, pad = 34, at = v => pad + v * (size - 2 * pad);
  const svg = draw("svg", {viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": "calibration"});
  svg.append(draw("line", {x1: at(0), y1: size - at(0), x2: at(1), y2: size - at(1), stroke: "var(--line)", "stroke-width": 2}));
  const most = Math.max(...confidence.bins.map(b => b.words));
  let path = "";
  confidence.bins.forEach(b => {
    if (!b.words) return;
    const h = 60 * b.words / most;
    svg.append(draw("rect", {x: at(b.from) + 1, y: size - at(0) - h, width: at(b.to) - at(b.from) - 2, height: h, fill: color, opacity: .18}));
    path += `${path ? "L" : "M"}${at(b.confidence)} ${size - at(b.correct)}`;
    const dot = draw("circle", {cx: at(b.confidence), cy: size - at(b.correct), r: 4, fill: color});
    dot.append(draw("title", {}, `${b.words} words: confidence ${b.confidence.toFixed(2)}, right ${percent(b.correct)} %`));
    svg.append(dot);
  });
  svg.append(draw("path", {d: path, stroke: color, fill: "none", "stroke-width": 2}));
  svg.append(draw("text", {x: size / 2, y: size - 6, "text-anchor": "middle"}, "confidence"), draw("text", {x: 12, y: size / 2, transform: `rotate(-90 12 ${size / 2})`, "text-anchor": "middle"}, "share right"));
  const auc = confidence.auc === null ? "–" : confidence.auc.toFixed(3);
  return make("div", {className: "small"}, make("h3", {textContent: `${system}: ECE ${confidence.ece.toFixed(3)}, AUC ${auc}, ${confidence.words} words`}), svg);
}
DATA.systems.forEach((s, i) => {
  if (s.analysis.confidence) { $("confidence-section").hidden = false; $("confidence").append(reliability(s.name, s.analysis.confidence, COLORS[i % 4])); }
  const n = s.analysis.nbest;
  if (n) {
    $("nbest-section").hidden = false;
    $("nbest").append(barChart(n.oracle.map(r => ({label: `best of ${r.n}`, values: [{value: r.wer, text: percent(r.wer, 2)}]})), `${s.name}: oracle WER (%) of the n-best list`),
      make("p", {textContent: `Of ${n.errors} errors a better language model could correct ${n.language_model}, a wider beam ${n.longer_beam} more; ${n.model} need a better acoustic model.`}));
  }
});

// ---- utterances: only the rows in view are in the page
const ROW = 30, U = DATA.utterances;
const columns = [{name: "recording", width: "minmax(110px,1.2fr)", get: u => u.name}];
if (U.some(u => u.speaker)) columns.push({name: "speaker", width: "minmax(70px,.6fr)", get: u => u.speaker ?? ""});
if (U.some(u => u.duration)) columns.push({name: "s", width: "52px", number: true, get: u => u.duration ?? 0, show: u => u.duration?.toFixed(1) ?? ""});
columns.push({name: "words", width: "56px", number: true, get: u => u.words});
NAMES.forEach((n, s) => columns.push({name: NAMES.length > 1 ? `errors ${n}` : "errors", width: "minmax(104px,.6fr)", number: true, get: u => u.errors[s], show: u => u.errors[s] === u.raw[s] ? u.errors[s] : `${u.errors[s]} (raw ${u.raw[s]})`}));
columns.push({name: "reference", width: "minmax(200px,3fr)", get: u => u.reference});
const layout = columns.map(c => c.width).join(" ");
const grid = make("div", {className: "grid", tabIndex: 0}), space = make("div", {className: "space"}), head = make("div", {className: "head"});
grid.style.height = "480px"; head.style.gridTemplateColumns = layout;
let order = U.map((_, i) => i), by = columns.findIndex(c => c.name.startsWith("errors")), falling = true, chosen = -1;
columns.forEach((c, at) => head.append(make("span", {textContent: c.name, title: "sort", onclick: () => { falling = by === at ? !falling : !!c.number; by = at; arrange(); }})));
grid.append(head, space); $("utterances").append(grid);
const haystack = U.map(u => [u.name, u.speaker, u.reference, ...u.hypotheses].join(" ").toLowerCase());
function arrange() {
  const words = $("search").value.trim().toLowerCase(), least = Number($("least").value) || 0, differ = $("differ")?.checked, c = columns[by];
  order = [];
  for (let i = 0; i < U.length; i++) {
    if (words && !haystack[i].includes(words)) continue;
    if (least && Math.max(...U[i].errors) < least) continue;
    if (differ && U[i].errors.every(e => e === U[i].errors[0])) continue;
    order.push(i);
  }
  const keys = new Map(order.map(i => [i, c.get(U[i])]));
  order.sort((a, b) => { const x = keys.get(a), y = keys.get(b); return (x < y ? -1 : x > y ? 1 : a - b) * (falling && x !== y ? -1 : 1); });
  $("count").textContent = `${order.length} of ${U.length}`;
  space.style.height = `${order.length * ROW}px`; grid.scrollTop = 0; paint();
}
function paint() {
  const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - 4), last = Math.min(order.length, first + Math.ceil(480 / ROW) + 10), rows = [];
  for (let at = first; at < last; at++) {
    const u = U[order[at]], row = make("div", {className: "row" + (order[at] === chosen ? " chosen" : ""), tabIndex: 0});
    row.style.top = `${at * ROW}px`; row.style.gridTemplateColumns = layout;
    columns.forEach(c => row.append(make("span", {textContent: c.show ? c.show(u) : c.get(u), className: c.number ? "n" : ""})));
    row.onclick = () => open(order[at]); row.onkeydown = e => { if (e.key === "Enter") open(order[at]); };
    rows.push(row);
  }
  space.replaceChildren(...rows);
}
grid.addEventListener("scroll", paint, {passive: true});
["search", "least", "differ"].forEach(id => $(id) && ($(id).oninput = arrange));

// ---- one utterance: aligned words, audio
const KINDS = {s: "sub", d: "del", i: "ins", f: "forgive", m: ""};
let player = null, stopAt = Infinity;
function open(number) {
  chosen = number; paint();
  history.replaceState(null, "", `#u${number + 1}`);
  const u = U[number], panel = $("panel");
  player = u.audio ? make("audio", {controls: true, preload: "none", src: u.audio}) : null;
  if (player) player.ontimeupdate = () => { if (player.currentTime > stopAt) player.pause(); };
  const meta = make("div", {className: "meta"}, make("b", {textContent: u.name}), make("span", {textContent: [u.speaker, u.duration ? u.duration.toFixed(1) + " s" : "", u.words + " words"].filter(Boolean).join(" · ")}));
  if (player) meta.append(player);
  meta.append(make("span", {className: "key", innerHTML: '<i style="color:var(--sub)">wrong</i><i style="color:var(--del)">left out</i><i style="color:var(--ins)">put in</i><i style="color:var(--forgive)">forgiven</i> reference above, hypothesis below'}),
    make("button", {textContent: "previous", onclick: () => step(-1)}), make("button", {textContent: "next", onclick: () => step(1)}), make("button", {textContent: "close", onclick: () => { panel.hidden = true; }}));
  const systems = make("div", {className: "systems"});
  u.steps.forEach((steps, s) => {
    const words = make("div", {className: "words", dir: "auto"});
    steps.forEach((one, at) => {
      const [kind, reference, hypothesis, layer] = typeof one === "string" ? ["m", "", one, ""] : one;
      const start = u.starts[s]?.[at];
      const word = make("button", {className: "w " + KINDS[kind], title: layer ? `forgiven by: ${layer}` : start >= 0 ? `from ${(start / 100).toFixed(2)} s` : ""}, make("small", {textContent: reference}), make("b", {textContent: hypothesis}));
      word.onclick = () => play(u, start);
      words.append(word);
    });
    systems.append(make("div", {}, make("h3", {textContent: `${NAMES[s]}: errors ${u.errors[s]}, raw ${u.raw[s]}`}), words));
  });
  panel.replaceChildren(meta, systems); panel.hidden = false;
}
function play(u, start) {
  if (!player) return;
  const zero = u.embedded ? 0 : u.offset;
  stopAt = u.duration ? zero + u.duration : Infinity;
  const from = zero + Math.max(0, (start >= 0 ? start : 0) / 100);
  const go = () => { player.currentTime = from; player.play(); };
  if (player.readyState > 0) go(); else { player.addEventListener("loadedmetadata", go, {once: true}); player.load(); }
}
function step(by) { const at = order.indexOf(chosen) + by; if (at >= 0 && at < order.length) open(order[at]); }
document.addEventListener("keydown", e => { if (e.key === "Escape") $("panel").hidden = true; });
arrange();
const asked = /^#u(\d+)$/.exec(location.hash); // report.html#u12 opens the twelfth utterance
if (asked && U[asked[1] - 1]) open(asked[1] - 1);
document.body.dataset.ready = String(Math.round(performance.now()));
