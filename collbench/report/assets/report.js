// The script of the page: draws the charts when they come into view, sorts and filters tables, unpacks downloads. Text of
// the data reaches the page as textContent alone.
"use strict";

const DATA = JSON.parse(document.getElementById("charts").textContent);
const HOVER = document.getElementById("hover");
const BUSY = new WeakMap();
const NAMES = ["x", "y", "low", "high", "launches", "words", "from", "to", "each"];

function element(name, content, attributes) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  return made;
}

// Numbers as the tables have them: four significant digits, no exponent.
function shown(value) {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 1) return value.toFixed(4 - String(Math.trunc(size)).length);
  return value.toFixed(3);
}

function placed(axis, point) {
  return axis.ticks[point.place][1];
}

// What is said of a point, in lines.
function said(pane, axis, line, point, strokes) {
  const unit = pane.unit === "%" ? " %" : ` ${pane.unit}`;
  const range = (low, high) => `${shown(low)} to ${shown(high)}${unit}`;
  const found = [`${line.n}${strokes ? ` (${strokes[line.d ? 0 : 1]})` : ""}, ${placed(axis, point)}`];
  if (point.y !== null) found.push(`${pane.what}: ${shown(point.y)}${unit}`);
  if (point.from !== null && pane.interval) found.push(`${pane.interval}: ${range(point.from, point.to)}`);
  if (point.low !== null && pane.band && point.low !== point.from) found.push(`${pane.band}: ${range(point.low, point.high)}`);
  if (point.launches) found.push(point.launches === 1 ? "1 launch" : `${point.launches} launches`);
  if (point.words) found.push(point.words);
  return found.join("\n");
}

function pointOf(pane, axis, cells) {
  const found = Object.fromEntries(NAMES.map((name, at) => [name, cells[at] === undefined ? null : cells[at]]));
  const ends = pane.band || found.from !== null ? {} : { from: found.low, to: found.high };
  return { ...found, ...ends, place: found.x, x: axis.ticks[found.x][0], words: found.words === null ? "" : pane.words[found.words] };
}

function pointsOf(pane, axis, line) {
  return line.p.map((cells) => pointOf(pane, axis, cells));
}

// The rows that Vega draws. Points without a number have their mark at the foot of the pane.
function rowsOf(pane, axis, strokes) {
  const numbers = pane.lines.flatMap((line) => line.p.map((cells) => cells[1])).filter((y) => y !== null && y !== undefined);
  const foot = pane.log ? Math.min(...numbers, Infinity) : 0;
  return pane.lines.flatMap((line) => pointsOf(pane, axis, line).map((point) => ({
    ...point, name: line.n, style: String(line.s), dashed: line.d, key: `${line.s} ${line.n} ${line.d}`,
    bad: point.y === null && Boolean(point.words), at: point.y === null ? (foot === Infinity ? 1 : foot) : point.y,
    said: said(pane, axis, line, point, strokes),
  })));
}


// Ticks of a logarithmic axis: 1, 2 and 5 of each decade, or fewer where these are many.
function ticksOf(low, high, most) {
  if (high / low < 3) return evenTicks(low, high, most);
  const decades = [];
  for (let at = Math.floor(Math.log10(low)); at <= Math.ceil(Math.log10(high)); at += 1) decades.push(at);
  const within = (steps, every) => decades.filter((at) => at % every === 0).flatMap((at) => steps.map((step) => Number(`${step}e${at}`))).filter((at) => at >= low && at <= high);
  const fine = [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]].map((steps) => within(steps, 1));
  return fine.find((values) => values.length <= most && values.length > 1) || [1, 2, 3].map((every) => within([1], every)).find((values) => values.length <= most) || within([1], 1);
}

function evenTicks(low, high, most) {
  const raw = (high - low) / most, ten = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= raw);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(Number((at * step).toPrecision(6)));
  return found;
}

const DAY = 24 * 3600 * 1000;
function specOf(pane, axis, isLast, strokes) {
  const rows = rowsOf(pane, axis, strokes);
  const used = [...new Set(rows.map((row) => row.style))];
  const styles = { domain: used, range: used.map((at) => `var(--s${at})`) };
  const outlines = { domain: used, range: used.map((at) => DATA.outlines[at]) };
  const places = rows.map((row) => row.x);
  const first = Math.min(...places), last = Math.max(...places);
  const span = axis.kind === "log" ? [first === last ? first / 2 : first, first === last ? last * 2 : last] : [first === last ? first - DAY : first, first === last ? last + DAY : last];
  const kind = { ...(axis.kind === "log" ? { type: "log", base: 2 } : { type: "linear", zero: false }), padding: 14, nice: false, domain: span };
  const labels = Object.fromEntries(axis.ticks);
  const x = {
    field: "x", type: "quantitative", title: isLast ? axis.label : null, scale: kind,
    axis: { values: axis.ticks.map(([at]) => at), labelExpr: "labels[datum.value]", labels: isLast, ticks: isLast, grid: axis.kind === "log", labelOverlap: "greedy", labelSeparation: 8, labelFlush: false },
  };
  const ends = rows.flatMap((row) => [row.at, row.low, row.high, ...(row.each || [])]);
  const domain = ends.concat(pane.least || [], pane.rules, pane.shade || []).filter((value) => value !== null);
  const low = Math.min(...domain), high = Math.max(...domain);
  const spare = pane.log ? Math.pow(high / low || 1, 0.04) * 1.02 : (high - low || 1) * 0.06;
  const least = !pane.log && low === 0 ? 0 : pane.log ? low / spare : low - spare;
  const scale = { type: pane.log ? "log" : "linear", ...(pane.log ? {} : { zero: false }), nice: false, domain: [least, pane.log ? high * spare : high + spare] };
  const values = pane.log ? { values: ticksOf(scale.domain[0], scale.domain[1], pane.tall > 200 ? 8 : 5) } : { tickCount: pane.tall > 200 ? 7 : 5 };
  const yAxis = { minExtent: 62, maxExtent: 62, labelExpr: "format(datum.value, ',~r')", ...values };
  const y = (field) => ({ field, type: "quantitative", scale, title: pane.y, axis: yAxis });
  const color = { field: "style", type: "nominal", scale: styles, legend: null };
  const shape = { field: "style", type: "nominal", scale: outlines, legend: null };
  const detail = { field: "key" };
  const isShown = "indexof(off, datum.name) < 0";
  const whole = [{ filter: isShown }, { filter: "isValid(datum.y)" }];
  const across = (value) => ({ datum: value, type: "quantitative", scale, title: pane.y, axis: yAxis });
  const aria = { aria: false };
  const layer = [];
  if (pane.shade) {
    layer.push({ data: { values: [{}] }, mark: { type: "rect", color: "var(--wash)", opacity: 0.16, ...aria }, encoding: { y: across(pane.shade[0]), y2: { datum: pane.shade[1] } } });
  }
  for (const at of pane.rules) {
    layer.push({ data: { values: [{}] }, mark: { type: "rule", color: "var(--wash)", strokeDash: [6, 3], ...aria }, encoding: { y: across(at) } });
  }
  const banded = [...whole, { filter: "isValid(datum.low) && isValid(datum.high)" }];
  if (pane.bars) {
    layer.push({ transform: banded, mark: { type: "rule", strokeWidth: 2, ...aria }, encoding: { x, y: y("low"), y2: { field: "high" }, color, detail } });
  } else {
    layer.push({ transform: banded, mark: { type: "area", opacity: 0.16, ...aria }, encoding: { x, y: y("low"), y2: { field: "high" }, color, detail } });
    const dash = { condition: { test: "datum.dashed", value: [5, 3] }, value: [1, 0] };
    layer.push({ transform: [{ filter: isShown }, { filter: "isValid(datum.y) || datum.bad" }], mark: { type: "line", strokeWidth: 1.8, invalid: "break-paths-show-path-domains", ...aria }, encoding: { x, y: y("y"), color, detail, strokeDash: dash } });
  }
  layer.push({ transform: [...whole, { filter: "isValid(datum.each)" }, { flatten: ["each"] }], mark: { type: "point", filled: true, size: 7, opacity: 0.55, ...aria }, encoding: { x, y: y("each"), color, detail } });
  const face = { condition: { test: "datum.dashed", value: "var(--ground)" }, ...color };
  layer.push({ transform: whole, mark: { type: "point", filled: true, size: 60, opacity: 1, strokeWidth: 1.2, ...aria }, encoding: { x, y: y("y"), stroke: color, fill: face, shape, detail, tooltip: { field: "said" } } });
  layer.push({ transform: [{ filter: isShown }, { filter: "datum.bad" }], mark: { type: "point", filled: false, size: 110, strokeWidth: 2, shape: "M-1,-1L1,1M-1,1L1,-1", ...aria }, encoding: { x, y: y("at"), color, detail, tooltip: { field: "said" } } });
  layer.push({ transform: [...whole, { filter: "chosen === datum.key + ' ' + datum.x" }], mark: { type: "point", size: 260, strokeWidth: 2, color: "var(--focus)", shape: "circle", ...aria }, encoding: { x, y: y("y") } });
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: pane.tall,
    autosize: { type: "fit-x", contains: "padding" }, data: { name: "rows", values: rows }, description: "",
    params: [{ name: "off", value: [] }, { name: "chosen", value: "" }, { name: "labels", value: labels }], layer,
  };
}

const PLAIN = { domainColor: "var(--pale)", tickColor: "var(--pale)", gridColor: "var(--line)", labelColor: "var(--ink)", titleColor: "var(--ink)", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 };
const CONFIG = { background: null, font: "system-ui, sans-serif", view: { stroke: null }, axis: PLAIN };

function hover(text, place) {
  HOVER.hidden = !text;
  if (!text) return;
  HOVER.textContent = text;
  const box = HOVER.getBoundingClientRect();
  HOVER.style.left = `${Math.max(4, Math.min(place.x + 14, innerWidth - box.width - 8))}px`;
  HOVER.style.top = `${place.y + 18 + box.height > innerHeight ? Math.max(4, place.y - box.height - 10) : place.y + 18}px`;
}

function pointer(handler, event, item, value) {
  const isOurs = item && item.datum && typeof item.datum.said === "string" && value !== null && value !== undefined && value !== "";
  hover(isOurs ? item.datum.said : "", { x: event.clientX, y: event.clientY });
}

function offOf(figure) {
  return [...figure.querySelectorAll(".switches input")].filter((box) => !box.checked).map((box) => box.value);
}

async function draw(figure) {
  const chart = DATA.charts[figure.dataset.chart];
  const choice = figure.querySelector("select");
  const view = chart.views[choice ? Number(choice.value) : 0];
  const room = figure.querySelector(".panes");
  const turn = (BUSY.get(figure) || 0) + 1;
  BUSY.set(figure, turn);
  room.replaceChildren();
  const drawn = [];
  for (const [at, pane] of view.panes.entries()) {
    if (pane.title) room.append(element("div", pane.title, { class: "note" }));
    const words = `${chart.title}: ${pane.title} ${pane.y}. Arrow keys move from point to point; the numbers are below.`;
    const box = element("div", undefined, { class: "pane", role: "application", "aria-label": words, "aria-roledescription": "chart", tabindex: "0" });
    room.append(box);
    const inner = box.appendChild(element("div", undefined, { "aria-hidden": "true", class: "pane" }));
    const options = { ast: true, renderer: "svg", actions: false, defaultStyle: false, config: CONFIG, tooltip: pointer, mode: "vega-lite" };
    const made = await vegaEmbed(inner, specOf(pane, DATA.axes[chart.axis], at === view.panes.length - 1, chart.strokes), options);
    if (BUSY.get(figure) !== turn) return;
    drawn.push({ view: made.view, box, pane });
    steer(figure, chart, pane, box, made.view);
  }
  figure.drawn = drawn;
  await toggle(figure);
}

async function toggle(figure) {
  const off = offOf(figure);
  await Promise.all((figure.drawn || []).map(({ view }) => view.signal("off", off).runAsync()));
}

// Arrow keys: left and right along a line, up and down to the next one; what is said of the point is announced.
function steer(figure, chart, pane, box, view) {
  const axis = DATA.axes[chart.axis];
  let line = 0, point = 0;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const off = offOf(figure);
    const lines = pane.lines.filter((each) => !off.includes(each.n));
    if (!step || !lines.length) return;
    event.preventDefault();
    line = (line + step[0] + lines.length) % lines.length;
    point = Math.max(0, Math.min(point + step[1], lines[line].p.length - 1));
    const found = pointOf(pane, axis, lines[line].p[point]);
    view.signal("chosen", `${lines[line].s} ${lines[line].n} ${lines[line].d} ${found.x}`).runAsync();
    const place = box.getBoundingClientRect();
    hover(said(pane, axis, lines[line], found, chart.strokes), { x: place.left + 60, y: Math.max(place.top, 0) });
  });
  box.addEventListener("blur", () => { hover(""); view.signal("chosen", "").runAsync(); });
}

// The numbers of a chart as a table, when they are opened.
function list(figure) {
  const details = figure.querySelector(".numbers");
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const chart = DATA.charts[figure.dataset.chart];
    for (const table of chart.views.flatMap((view) => view.panes).map((pane) => numbers(chart, pane))) {
      const words = table.caption.textContent;
      details.appendChild(element("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": words })).append(table);
      equip(table);
    }
  });
}

function numbers(chart, pane) {
  const axis = DATA.axes[chart.axis];
  const heads = ["name", axis.label, `${pane.what}, ${pane.unit}`, pane.interval, pane.band, "launches", ""];
  const range = (low, high) => (low === null ? "" : `${shown(low)} to ${shown(high)}`);
  const rows = pane.lines.flatMap((line) => pointsOf(pane, axis, line).filter((point) => point.y !== null || point.words).map((point) => [
    `${line.n}${chart.strokes ? ` (${chart.strokes[line.d ? 0 : 1]})` : ""}`, placed(axis, point), point.y === null ? "" : shown(point.y),
    range(point.from, point.to), range(point.low, point.high), point.launches || "", point.words || "",
  ]));
  const used = heads.map((_, at) => rows.some((row) => row[at] !== ""));
  const table = element("table");
  table.append(element("caption", [pane.title, pane.y].filter(Boolean).join(": ")));
  const head = table.appendChild(element("thead")).appendChild(element("tr"));
  heads.forEach((words, at) => used[at] && head.append(element("th", words, { scope: "col", class: at && at < 6 ? "number" : "" })));
  const body = table.appendChild(element("tbody"));
  for (const row of rows) {
    const made = body.appendChild(element("tr"));
    row.forEach((cell, at) => used[at] && made.append(element(at ? "td" : "th", cell, at ? { class: at < 6 ? "number" : "" } : { scope: "row" })));
  }
  return table;
}

// What a cell is sorted by: a number with its unit, else its words.
const UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
function keyOf(cell) {
  const words = cell.textContent.trim();
  const found = /^([+\-−]?[\d,]*\.?\d+)(?:\s*([KMGT]?i?B))?(?:\s|$)/.exec(words);
  if (!found) return words === "" ? null : words;
  return Number(found[1].replace(/,/g, "").replace("−", "-")) * (UNITS[found[2]] || 1);
}

function compare(one, other) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function sort(table, head) {
  const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  const sign = way === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row.cells[head.cellIndex]), row]);
  rows.sort(([one], [other]) => (one === null || other === null ? compare(one, other) : sign * compare(one, other)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

const FEW_ROWS = 8; // need no filter
function equip(table) {
  for (const head of table.tHead.rows[0].cells) {
    const button = element("button", head.textContent, { type: "button" });
    button.addEventListener("click", () => sort(table, head));
    head.replaceChildren(button);
  }
  const rows = [...table.tBodies[0].rows];
  if (rows.length > FEW_ROWS) table.parentNode.before(filter("Filter rows", rows, (row) => row.textContent));
}

// A box that hides what does not have all words that are typed into it.
function filter(label, items, textOf) {
  const made = element("label", `${label} `, { class: "filter" });
  const box = made.appendChild(element("input", undefined, { type: "search", autocomplete: "off" }));
  const count = made.appendChild(element("span", "", { role: "status" }));
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const item of items) {
      const text = textOf(item).toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      left += !item.hidden;
    }
    count.textContent = words.length ? ` ${left} of ${items.length}` : "";
  });
  return made;
}

// A link to packed data becomes one to the unpacked file, where the browser can unpack it.
function unpack(link) {
  if (typeof DecompressionStream === "undefined") return;
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const packed = Uint8Array.from(atob(link.href.split(",")[1]), (each) => each.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const place = URL.createObjectURL(new Blob([await new Response(stream).arrayBuffer()], { type: "text/csv" }));
    const made = element("a", "", { href: place, download: link.download.replace(/\.gz$/, "") });
    made.click();
    setTimeout(() => URL.revokeObjectURL(place), 10000);
  });
}

function begin() {
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !BUSY.get(target)) draw(target);
    }
  }, { rootMargin: "600px" });
  for (const figure of figures) {
    seen.observe(figure);
    figure.querySelector(".switches").addEventListener("change", () => toggle(figure));
    figure.querySelector("select")?.addEventListener("change", () => draw(figure));
    list(figure);
  }
  addEventListener("beforeprint", () => {
    figures.filter((each) => !BUSY.get(each)).forEach((each) => draw(each));
    for (const each of document.querySelectorAll("details:not(.numbers):not([open])")) { each.open = true; each.dataset.printed = ""; }
  });
  addEventListener("afterprint", () => document.querySelectorAll("details[data-printed]").forEach((each) => { each.open = false; delete each.dataset.printed; }));
  document.querySelectorAll("main table").forEach((table) => equip(table));
  document.querySelectorAll("a[data-packed]").forEach(unpack);
  const panels = [...document.querySelectorAll(".panel")];
  if (panels.length > 3) panels[0].before(filter("Show panels with", panels, (each) => each.querySelector("h3").textContent));
  addEventListener("keydown", (event) => { if (event.key === "Escape") hover(""); });
}

begin();
