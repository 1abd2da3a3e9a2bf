// Tables: headers that sort are buttons, numbers line up, and what does not fit scrolls inside its own region.
import { h } from "./dom.js";
import { exact, usd } from "./money.js";

/**
 * A table of `rows` (anything) by `columns`:
 * `{key, label, title, align: "end"|"start", sort: name|undefined, cell: (row, at) => node|text, head: true for the row's header, narrow: "hide" on phones}`.
 * `sort` is `{key, descending}` with `onsort(name)`. `foot`: rows of `{class, cells: {key: node|text}}`. `rowKey(row)`
 * names a row, so that it stays itself when others come before it.
 */
export function table({ caption, columns, rows, sort = null, onsort = null, foot = [], rowKey = null, rowClass = null }) {
  const region = { class: "scroll", role: "region", tabindex: "0", "aria-label": caption };
  return h(
    "div",
    region,
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => header(column, sort, onsort)))),
      h("tbody", {}, rows.map((row, at) => line(row, at, columns, rowKey, rowClass))),
      foot.length ? h("tfoot", {}, foot.map((row) => h("tr", { class: row.class, "data-key": `foot-${row.class}` }, columns.map((column, at) => footCell(row, column, at))))) : null,
    ),
  );
}

function header(column, sort, onsort) {
  const classes = classOf(column);
  const sorted = sort && column.sort && sort.key === column.sort;
  const state = column.sort ? (sorted ? (sort.descending ? "descending" : "ascending") : "none") : null;
  const label = column.sort && onsort
    ? h("button", { type: "button", class: "sort", title: column.title, onclick: () => onsort(column.sort) }, column.label, h("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (sort.descending ? "↓" : "↑") : ""))
    : h("span", { title: column.title }, column.label);
  return h("th", { scope: "col", class: classes, "aria-sort": state }, label);
}

function line(row, at, columns, rowKey, rowClass) {
  const cells = columns.map((column) => h(column.head ? "th" : "td", { scope: column.head ? "row" : null, class: classOf(column) }, column.cell(row, at)));
  return h("tr", { "data-key": rowKey ? `row-${rowKey(row)}` : null, class: rowClass ? rowClass(row) : null }, cells);
}

function footCell(row, column, at) {
  return h(at === 0 ? "th" : "td", { scope: at === 0 ? "row" : null, class: classOf(column) }, row.cells[column.key] ?? "");
}

const classOf = (column) => [column.align === "end" ? "end" : "", column.narrow === "hide" ? "wide-only" : "", column.class ?? ""].filter(Boolean).join(" ") || null;

/** An amount of money: rounded on screen, with all digits for whoever points at it. */
export function money(pico, digits = undefined, { shown = undefined } = {}) {
  const text = shown === 0n && pico !== 0n ? usd(pico < 0n ? -1n : 1n, digits) : usd(shown === undefined ? pico : shown, digits); // little is not nothing
  return h("data", { class: "money", value: pico === null ? "" : exact(pico).replace(/[$,]/g, ""), title: pico === null ? "unknown: not priced" : exact(pico) }, text);
}

/** Sorts rows by what `value(row)` gives; unknown comes last in both directions. */
export function sorted(rows, value, descending) {
  const way = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return x < y ? -way : x > y ? way : 0;
  });
}
