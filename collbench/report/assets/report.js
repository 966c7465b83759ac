// The page: charts are drawn when they come into view; what is pointed at is said; downloads are unpacked.
"use strict";

const HOVER = document.getElementById("hover"), SAID = document.getElementById("said");
const TURNS = new WeakMap(), VIEWS = new WeakMap(); // by figure: how often it was drawn, and the views of its panes
const FEW = 4; // names, which are switched one by one
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// Show what is said of a point beside a place in the window; nothing for "".
function hover(text, x = 0, y = 0) {
  HOVER.hidden = !text;
  HOVER.textContent = text;
  const { width, height } = HOVER.getBoundingClientRect();
  HOVER.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  HOVER.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18}px`;
}

const OPTIONS = { // interpreted expressions need no eval, and none of Vega's own styles is put into the page
  ast: true, renderer: "svg", actions: false, defaultStyle: false, config: CONFIG, tooltip: pointed,
};

function pointed(handler, event, item, value) {
  hover(value ? item.datum.said : "", event.clientX, event.clientY);
}

const chartOf = (figure) => DATA.charts[figure.dataset.chart];
const boxesOf = (figure) => [...figure.querySelectorAll(".switches input")];
const offOf = (figure) => boxesOf(figure).filter((box) => !box.checked).map((box) => box.value);

function panesOf(figure) {
  const choice = figure.querySelector("select");
  return chartOf(figure).views[choice ? Number(choice.value) : 0].panes;
}

// Draw a figure anew. A later turn, as after another choice of view, ends an earlier one.
async function draw(figure) {
  const chart = chartOf(figure), panes = panesOf(figure), turn = (TURNS.get(figure) || 0) + 1;
  const room = figure.querySelector(".panes");
  TURNS.set(figure, turn);
  room.replaceChildren();
  const views = [];
  for (const pane of panes) {
    const box = room.appendChild(paneOf(chart, pane));
    const made = await vegaEmbed(box.lastChild, specOf(chart, panes, pane), OPTIONS);
    if (TURNS.get(figure) !== turn) return;
    box.querySelector("svg").setAttribute("aria-hidden", "true"); // its numbers are said and listed
    label(box.lastChild, chart, pane); // anew: Vega calls every chart a Vega visualization
    views.push(made.view);
    steer(figure, pane, box.lastChild, made.view);
  }
  VIEWS.set(figure, views);
  await toggle(figure);
}

// The place of a pane, below its title.
function paneOf(chart, pane) {
  const made = element("div");
  if (pane.title) made.append(element("div", pane.title, { class: "note" }));
  label(made.appendChild(element("div", undefined, { class: "pane", tabindex: "0" })), chart, pane);
  return made;
}

// What a screen reader says of a pane.
function label(box, chart, pane) {
  const what = [chart.title, pane.title, pane.y].filter(Boolean).join(", ");
  box.setAttribute("role", "application");
  box.setAttribute("aria-label", `${what}. Arrow keys move from point to point; its numbers are also a table.`);
  box.removeAttribute("aria-roledescription");
}

async function toggle(figure) {
  const off = offOf(figure);
  await Promise.all((VIEWS.get(figure) || []).map((view) => view.signal("off", off).runAsync()));
}

// A button that shows none of many names, or if none is shown, all.
function offer(figure) {
  const boxes = boxesOf(figure), made = element("button", "none or all", { type: "button" });
  made.addEventListener("click", () => {
    const none = boxes.every((box) => !box.checked);
    for (const box of boxes) box.checked = none;
    toggle(figure);
  });
  if (boxes.length > FEW) figure.querySelector(".switches legend").after(made);
}

// Arrow keys: left and right along a line, up and down to another one; what is said of the point is announced.
function steer(figure, pane, box, view) {
  const chart = chartOf(figure), axis = DATA.axes[chart.axis];
  let line = 0, point = 0;
  async function choose(key) {
    await view.signal("chosen", key).runAsync();
    return box.querySelector(".ring_marks path")?.getBoundingClientRect();
  }
  box.addEventListener("keydown", async (event) => {
    const lines = pane.lines.filter((each) => !offOf(figure).includes(each.n));
    if (!(event.key in STEPS) || !lines.length) return;
    event.preventDefault();
    const [down, right] = STEPS[event.key];
    line = (line + down + lines.length) % lines.length;
    point = Math.max(0, Math.min(point + right, lines[line].p.length - 1));
    const found = pointOf(pane, axis, lines[line].p[point]);
    const place = (await choose(keyOf(lines[line], found))) || box.getBoundingClientRect();
    SAID.textContent = said(chart, pane, lines[line], found);
    hover(SAID.textContent, place.right, place.top);
  });
  box.addEventListener("blur", () => { hover(""); choose(""); });
}

// The numbers of a chart as tables, made when they are opened.
function list(figure) {
  const details = figure.querySelector(".numbers"), chart = chartOf(figure);
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    for (const pane of chart.views.flatMap((view) => view.panes)) {
      equip(details.appendChild(numbersOf(chart, pane)).querySelector("table"));
    }
  });
}

function numbersOf(chart, pane) {
  const axis = DATA.axes[chart.axis];
  const heads = ["name", axis.label, `${pane.what}, ${pane.unit}`, pane.interval, pane.band, "launches", "remark"];
  const range = (low, high) => (low === null ? "" : rangeOf(pane, low, high));
  const rows = pane.lines.flatMap((line) => pointsOf(pane, axis, line).map((point) => [
    nameOf(chart, line), point.label, point.y === null ? "" : signed(pane, point.y), range(point.from, point.to),
    pane.band ? range(point.low, point.high) : "", point.launches ?? "", point.words,
  ]));
  return tableOf([pane.title, pane.y].filter(Boolean).join(": "), heads, rows.filter((row) => row[2] || row[6]));
}

// A link to packed data gives the unpacked file, where the browser can unpack it.
async function unpack(event) {
  const link = event.currentTarget;
  event.preventDefault();
  const packed = Uint8Array.from(atob(link.href.split(",")[1]), (each) => each.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const content = new Blob([await new Response(stream).arrayBuffer()], { type: "text/csv" });
  const place = URL.createObjectURL(content);
  element("a", "", { href: place, download: link.download.replace(/\.gz$/, "") }).click();
  setTimeout(() => URL.revokeObjectURL(place), 10000);
}

// On paper there is everything: charts that were not in view yet, and what is folded, but for numbers of charts.
function print(figures) {
  figures.filter((each) => !TURNS.has(each)).forEach(draw);
  for (const each of document.querySelectorAll("details:not(.numbers):not([open])")) {
    each.open = true;
    addEventListener("afterprint", () => { each.open = false; }, { once: true });
  }
}

function begin() {
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const coming = new IntersectionObserver((entries) => {
    entries.filter((each) => each.isIntersecting && !TURNS.has(each.target)).forEach((each) => draw(each.target));
  }, { rootMargin: "600px" });
  for (const figure of figures) {
    coming.observe(figure);
    figure.querySelector(".switches").addEventListener("change", () => toggle(figure));
    offer(figure);
    figure.querySelector("select")?.addEventListener("change", () => draw(figure));
    list(figure);
  }
  document.querySelectorAll("main table").forEach(equip);
  const panels = [...document.querySelectorAll(".panel")];
  if (panels.length > 3) panels[0].before(filter("Show panels with", panels, (each) => each.firstChild.textContent));
  if (typeof DecompressionStream !== "undefined") {
    document.querySelectorAll("a[data-packed]").forEach((link) => link.addEventListener("click", unpack));
  }
  addEventListener("beforeprint", () => print(figures));
  addEventListener("keydown", (event) => { if (event.key === "Escape") hover(""); });
}

begin();
