// Charts: from the numbers in the page to Vega-Lite. Text of the data is drawn or said as text alone: no expression and
// no field name is made of it.
"use strict";

const DATA = JSON.parse(document.getElementById("charts").textContent);
const NAMES = ["x", "y", "low", "high", "launches", "words", "from", "to", "each"]; // of the cells of a point
const DAY = 24 * 3600 * 1000; // milliseconds
const AXES = {
  domainColor: "var(--pale)", tickColor: "var(--pale)", gridColor: "var(--line)", labelColor: "var(--ink)",
  titleColor: "var(--ink)", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12,
};
const CONFIG = { background: null, font: "system-ui, sans-serif", view: { stroke: null }, axis: AXES, aria: false };

// Numbers as the tables have them: four significant digits, no exponent.
function shown(value) {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 1) return value.toFixed(4 - String(Math.trunc(size)).length);
  return value.toFixed(3);
}

const signed = (pane, value) => (pane.unit === "%" && value > 0 ? `+${shown(value)}` : shown(value));
const unitOf = (pane) => (pane.unit === "×" ? "×" : ` ${pane.unit}`);
const rangeOf = (pane, low, high) => `${signed(pane, low)} to ${signed(pane, high)}`;
const launchesOf = (count) => `${count} launch${count === 1 ? "" : "es"}`;

function pointOf(pane, axis, cells) {
  const found = Object.fromEntries(NAMES.map((name, at) => [name, cells[at] ?? null]));
  const [x, label] = axis.ticks[found.x];
  const ends = pane.band || found.from !== null ? {} : { from: found.low, to: found.high };
  return { ...found, ...ends, x, label, words: found.words === null ? "" : pane.words[found.words] };
}

const pointsOf = (pane, axis, line) => line.p.map((cells) => pointOf(pane, axis, cells));
const nameOf = (chart, line) => `${line.n}${chart.strokes ? ` (${chart.strokes[line.d ? 0 : 1]})` : ""}`;

// What is said of a point, in lines.
function said(chart, pane, line, point) {
  const found = [`${nameOf(chart, line)}, ${point.label}`];
  if (point.y !== null) found.push(`${pane.what}: ${signed(pane, point.y)}${unitOf(pane)}`);
  if (point.from !== null && pane.interval) {
    found.push(`${pane.interval}: ${rangeOf(pane, point.from, point.to)}${unitOf(pane)}`);
  }
  if (point.low !== null && pane.band) {
    found.push(`${pane.band}: ${rangeOf(pane, point.low, point.high)}${unitOf(pane)}`);
  }
  if (point.launches) found.push(launchesOf(point.launches));
  if (point.words) found.push(point.words);
  return found.join("\n");
}

const keyOf = (line, point) => `${line.s} ${line.n} ${line.d} ${point.x}`;

// Where a mark without a number stands: below all that has one, so that it passes for none.
function footOf(pane, points) {
  const numbers = points.flatMap((point) => [point.y, point.low, point.high, ...(point.each || [])]);
  const all = [...numbers, ...pane.rules, ...(pane.shade || []), ...(pane.least || [])].filter((each) => each !== null);
  if (!all.length) return 1;
  const low = Math.min(...all), high = Math.max(...all);
  return pane.log ? low / (1.1 * (high / low) ** 0.06) : low;
}

// The rows that Vega draws. A point without a number has its mark at the foot of the pane.
function rowsOf(chart, pane, axis) {
  const points = pane.lines.flatMap((line) => pointsOf(pane, axis, line).map((point) => [line, point]));
  const foot = footOf(pane, points.map(([, point]) => point));
  return points.map(([line, point]) => ({
    ...point, name: line.n, style: String(line.s), dashed: line.d, line: `${line.s} ${line.n} ${line.d}`,
    key: keyOf(line, point), said: said(chart, pane, line, point), bad: point.y === null && point.words !== "",
    at: point.y ?? (point.words ? foot : null),
  }));
}

// Ticks of a logarithmic axis: as many steps of each decade as there is room for, or only some decades.
function logTicks(low, high, most) {
  if (high / low < 3) return evenTicks(low, high, most);
  const decades = [];
  for (let at = Math.floor(Math.log10(low)); at <= Math.log10(high); at += 1) decades.push(at);
  const within = (steps, every) => decades.filter((at) => at % every === 0)
    .flatMap((at) => steps.map((step) => Number(`${step}e${at}`))).filter((at) => at >= low && at <= high);
  const fine = [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]];
  const found = [...fine.map((steps) => within(steps, 1)), ...[2, 3, 4].map((every) => within([1], every))];
  return found.find((values) => values.length <= most && values.length > 1) || evenTicks(low, high, most);
}

function evenTicks(low, high, most) {
  const raw = (high - low) / most, ten = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= raw);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(Number((at * step).toPrecision(6)));
  return found;
}

// The ends of the axis of numbers, with some room at either end but at 0.
function endsOf(pane, rows) {
  const numbers = rows.flatMap((row) => [row.at, row.low, row.high, ...(row.each || [])]);
  const all = [...numbers, ...pane.rules, ...(pane.shade || []), ...(pane.least || [])];
  const known = all.filter((each) => each !== null);
  const low = Math.min(...known), high = Math.max(...known);
  if (pane.log) return [low / (1.02 * (high / low) ** 0.04), high * 1.02 * (high / low) ** 0.04];
  const room = (high - low || 1) * 0.06;
  return [low === 0 ? 0 : low - room, high + room];
}

function yOf(pane, rows) {
  const ends = endsOf(pane, rows), most = pane.tall > 200 ? 8 : 5;
  const values = pane.log ? logTicks(...ends, most) : evenTicks(...ends, most);
  const scale = pane.log ? { type: "log", nice: false, domain: ends } : { zero: false, nice: false, domain: ends };
  const axis = { minExtent: 62, maxExtent: 62, values, labelExpr: "format(datum.value, ',~r')" };
  return { type: "quantitative", scale, title: pane.y, axis: { ...axis, titleLimit: pane.tall } };
}

// The places that any pane of a chart has something at: panes share an axis, so that one is read below another.
function placesOf(panes, axis) {
  const cells = panes.flatMap((pane) => pane.lines.flatMap((line) => line.p));
  const used = cells.filter((each) => (each[1] ?? null) !== null || (each[5] ?? null) !== null);
  return (used.length ? used : cells).map((each) => axis.ticks[each[0]][0]);
}

function xOf(axis, panes, isLast) {
  const places = placesOf(panes, axis), isLog = axis.kind === "log";
  const longest = Math.max(...axis.ticks.map(([, label]) => label.length));
  let low = Math.min(...places), high = Math.max(...places);
  if (low === high) [low, high] = isLog ? [low / 2, high * 2] : [low - DAY, high + DAY];
  const form = isLog ? { type: "log", base: 2 } : { zero: false };
  const scale = { ...form, nice: false, domain: [low, high], padding: 6 + 3.6 * longest }; // half a label
  const ticks = { values: axis.ticks.map(([at]) => at), labelExpr: "labels[datum.value]", labels: isLast, ticks: isLast };
  const room = { labelOverlap: "greedy", labelSeparation: 8, labelFlush: false, grid: isLog };
  return { field: "x", type: "quantitative", title: isLast ? axis.label : null, scale, axis: { ...ticks, ...room } };
}

// What is behind the lines: a shaded range, and lines across.
function groundOf(pane, y) {
  const alone = { data: { values: [{}] } };
  const [from, to] = pane.shade || [];
  const shade = { ...alone, mark: { type: "rect", color: "var(--wash)", opacity: 0.16 },
    encoding: { y: { ...y, datum: from }, y2: { datum: to } } };
  const rules = pane.rules.map((at) => ({ ...alone, mark: { type: "rule", color: "var(--wash)", strokeDash: [6, 3] },
    encoding: { y: { ...y, datum: at } } }));
  return pane.shade ? [shade, ...rules] : rules;
}

const SHOWN = { filter: "indexof(off, datum.name) < 0" };
const TIMED = [SHOWN, { filter: "isValid(datum.y)" }];
const BANDED = [...TIMED, { filter: "isValid(datum.low) && isValid(datum.high)" }];
const EACH = [...TIMED, { filter: "isValid(datum.each)" }, { flatten: ["each"] }];
const DASHES = { condition: { test: "datum.dashed", value: [5, 3] }, value: [1, 0] };
const CROSS = "M-1,-1L1,1M-1,1L1,-1";

// Bands or bars, lines with gaps, single launches, points, marks of what has no number, what is hit, and what is chosen.
function layersOf(pane, x, y, styles) {
  const of = (field) => ({ ...y, field });
  const color = { field: "style", type: "nominal", scale: styles.colours, legend: null };
  const shape = { field: "style", type: "nominal", scale: styles.outlines, legend: null };
  const lines = { x, color, detail: { field: "line" } };
  const band = pane.bars ? { type: "rule", strokeWidth: 2 } : { type: "area", opacity: 0.16 };
  const line = { type: "line", strokeWidth: 1.8, invalid: "break-paths-show-path-domains" };
  const face = { condition: { test: "datum.dashed", value: "var(--ground)" }, ...color };
  const tooltip = { field: "said" };
  return [
    { transform: BANDED, mark: band, encoding: { ...lines, y: of("low"), y2: { field: "high" } } },
    ...(pane.bars ? [] : [{ transform: [SHOWN, { filter: "isValid(datum.y) || datum.bad" }], mark: line,
      encoding: { ...lines, y: of("y"), strokeDash: DASHES } }]),
    { transform: EACH, mark: { type: "point", filled: true, size: 7, opacity: 0.55 },
      encoding: { ...lines, y: of("each") } },
    { transform: TIMED, mark: { type: "point", filled: true, size: 60, opacity: 1, strokeWidth: 1.2 },
      encoding: { x, y: of("y"), stroke: color, fill: face, shape } },
    { transform: [SHOWN, { filter: "datum.bad" }], mark: { type: "point", size: 110, strokeWidth: 2, shape: CROSS },
      encoding: { ...lines, y: of("at") } },
    { name: "hit", transform: [SHOWN, { filter: "isValid(datum.y) || datum.bad" }],
      mark: { type: "point", filled: true, size: 260, opacity: 0 }, encoding: { x, y: of("at"), tooltip } },
    { name: "ring", transform: [SHOWN, { filter: "datum.key === chosen" }],
      mark: { type: "point", size: 260, strokeWidth: 2, color: "var(--focus)" }, encoding: { x, y: of("at") } },
  ];
}

// A pane of these as Vega-Lite; the last one has the labels of the shared axis.
function specOf(chart, panes, pane) {
  const axis = DATA.axes[chart.axis], rows = rowsOf(chart, pane, axis);
  const used = [...new Set(rows.map((row) => row.style))];
  const styles = {
    colours: { domain: used, range: used.map((at) => `var(--s${at})`) },
    outlines: { domain: used, range: used.map((at) => DATA.outlines[at]) },
  };
  const x = xOf(axis, panes, pane === panes.at(-1)), y = yOf(pane, rows);
  const values = { off: [], chosen: "", labels: Object.fromEntries(axis.ticks) };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: pane.tall,
    autosize: { type: "fit-x", contains: "padding" }, data: { name: "rows", values: rows },
    params: Object.entries(values).map(([name, value]) => ({ name, value })),
    layer: [...groundOf(pane, y), ...layersOf(pane, x, y, styles)],
  };
}
