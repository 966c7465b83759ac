// Tables: sorted by a click on a heading, filtered by the words in a box.
"use strict";

const FEW_ROWS = 8; // need no filter
const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

function element(name, content, attributes) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  return made;
}

// What a row is sorted by: the number that a cell begins with, in its unit, else its words; null for an empty cell.
function rank(cell) {
  const words = cell.textContent.trim();
  const found = /^([+\-−]?[\d,]*\.?\d+)(?:\s*([KMGT]iB|B))?(?:\s|$)/.exec(words);
  if (!found) return words || null;
  return Number(found[1].replace(/,/g, "").replace("−", "-")) * (UNITS[found[2]] || 1);
}

// Empty cells last, numbers before words.
function compare(one, other, sign) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return sign * (typeof one === "number" ? one - other : one.localeCompare(other, "en", { numeric: true }));
}

function sort(table, head) {
  const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", way);
  const rows = [...table.tBodies[0].rows].map((row) => [rank(row.cells[head.cellIndex]), row]);
  rows.sort(([one], [other]) => compare(one, other, way === "ascending" ? 1 : -1));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

// Headings that sort, and a filter before a table of many rows, which stands in a region of its own.
function equip(table) {
  for (const head of table.tHead.querySelectorAll("th")) {
    const button = element("button", head.textContent, { type: "button" });
    button.addEventListener("click", () => sort(table, head));
    head.replaceChildren(button);
  }
  const rows = [...table.tBodies[0].rows];
  if (rows.length > FEW_ROWS) table.parentNode.before(filter("Filter rows", rows, (row) => row.textContent));
}

// A box that hides the items whose text does not have all words that are typed into it.
function filter(label, items, textOf) {
  const made = element("label", `${label} `, { class: "filter" });
  const box = made.appendChild(element("input", undefined, { type: "search", autocomplete: "off" }));
  const count = made.appendChild(element("span", "", { role: "status" }));
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const text = textOf(item).toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    const left = items.filter((item) => !item.hidden).length;
    count.textContent = words.length ? ` ${left} of ${items.length}` : "";
  });
  return made;
}

// A table in its region, from a caption, headings and rows; columns without any cell are left out.
function tableOf(caption, heads, rows) {
  const used = heads.map((_, at) => rows.some((row) => row[at] !== ""));
  const of = (cells) => cells.filter((_, at) => used[at]);
  const table = element("table");
  table.append(element("caption", caption));
  const head = table.appendChild(element("thead")).appendChild(element("tr"));
  head.append(...of(heads).map((words) => element("th", words, { scope: "col" })));
  const body = table.appendChild(element("tbody"));
  for (const [first, ...others] of rows.map(of)) {
    const row = body.appendChild(element("tr"));
    row.append(element("th", first, { scope: "row" }), ...others.map((cell) => element("td", cell)));
  }
  const region = element("div", undefined, { class: "scroll", tabindex: "0", role: "group", "aria-label": caption });
  region.append(table);
  return region;
}
