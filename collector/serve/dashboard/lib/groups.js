// Groups of calls as a table that adds up: the same columns in every view.
import { h } from "./dom.js";
import { change, count, named, percent, plural, short } from "./format.js";
import { changeCell, cost, costCell, each, tokens } from "./measures.js";
import { apportioned, finePlaces, height, parse, places, ratio, usd } from "./money.js";
import { bar, pill, sparkline } from "./spark.js";
import { heading, said } from "./state.js";
import { money, table } from "./table.js";

const TRENDS = { increasing: ["↗", "up", "increasing"], stable: ["→", "soft", "stable"], decreasing: ["↘", "down", "decreasing"] };
const SORTS = ["cost", "calls", "name", "change", "tokens"];
const ASCENDING = ["name", "margin"];

/** What the sort parameter of a view says; what it may not be is "cost". `more` are orders of this view alone. */
export function sortOf(page, more = []) {
  const sort = page.own("sort", "cost");
  return [...SORTS, ...more].includes(sort) ? sort : "cost";
}

/** Parameters of /breakdown that fill every column. */
export const WHOLE = { compare: "previous", executions: "true", sparkline: "day" };

/**
 * `answer` of /breakdown with the parameters of `WHOLE`. A name filters by itself, or leads to `link(row)`. `more` are
 * columns that follow the cost, with rows of theirs above the total.
 */
export function groupTable(page, by, answer, { link = null, more = { columns: [], foot: () => [] } } = {}) {
  const total = parse(answer.total.cost_usd);
  const measured = [...answer.rows.map((row) => row.measures), ...(answer.other ? [answer.other.measures] : [])];
  const digits = places([total]);
  const shown = apportioned(measured.map(cost), total, digits);
  const fine = { per_call: unitDigits(measured, "cost_per_call_usd"), per_run: unitDigits(measured, "cost_per_execution_usd"), per_1k: unitDigits(measured, "cost_per_1k_useful_output_tokens_usd") };
  const cells = (measures, at) => ({
    cost: costCell(measures, digits, shown[at]), share: shareCell(measures, total), calls: count(measures.calls), tokens: tokensCell(measures),
    per_call: money(each(measures, "cost_per_call_usd"), fine.per_call), per_run: money(each(measures, "cost_per_execution_usd"), fine.per_run), per_1k: money(each(measures, "cost_per_1k_useful_output_tokens_usd"), fine.per_1k),
    cache: percent(measures.cache_hit_ratio), errors: errorCell(measures),
  });
  const figure = (key) => (row, at) => cells(row.measures, at)[key];
  const sort = sortOf(page, more.columns.map((column) => column.sort));
  return table({
    caption: `Cost by ${by.map(said).join(" and ")}`, rows: answer.rows, rowKey: (row) => JSON.stringify(by.map((key) => row.key[key])),
    sort: { key: sort, descending: !ASCENDING.includes(sort) }, onsort: (key) => page.go({ own: { sort: key === "cost" ? null : key, offset: null } }),
    foot: foot(answer, cells, digits, total, more.foot(digits)),
    columns: [
      ...by.map((key, at) => ({ key: at ? `by${at}` : "name", label: heading(key), sort: at ? undefined : "name", head: at === 0, cell: (row) => nameCell(page, key, row, link) })),
      { key: "cost", label: "Cost", class: "cost", align: "end", sort: "cost", cell: figure("cost") },
      ...more.columns,
      { key: "share", label: "Share", cell: figure("share") },
      { key: "change", label: "Change", title: "Against the same length of time before", align: "end", sort: "change", cell: changed },
      { key: "trend", label: "Trend", title: "Of the days in this time", cell: trend },
      { key: "spark", label: "Per day", cell: (row) => (row.sparkline ? sparkline(row.sparkline.map((value) => height(parse(value)))) : "") },
      { key: "calls", label: "Calls", class: "calls", align: "end", sort: "calls", cell: figure("calls") },
      { key: "tokens", label: "Tokens", title: "Input and output", align: "end", sort: "tokens", cell: figure("tokens") },
      { key: "per_call", label: "$ / call", align: "end", cell: figure("per_call") },
      { key: "per_run", label: "$ / execution", title: "Per run in which it took part; calls outside of runs count by trace", align: "end", cell: figure("per_run") },
      { key: "per_1k", label: "$ / 1k useful", title: "Per thousand output tokens of calls that succeeded and were not repeated", align: "end", cell: figure("per_1k") },
      { key: "cache", label: "Cache hits", title: "Input tokens that were read from a cache", align: "end", cell: figure("cache") },
      { key: "errors", label: "Errors", title: "Calls that failed", align: "end", cell: figure("errors") },
    ],
  });
}

function foot(answer, cells, digits, total, more) {
  const rows = [];
  if (answer.other) {
    const { measures, groups } = answer.other;
    rows.push({ class: "other", cells: { name: `Other (${plural(groups, "group")})`, ...cells(measures, answer.rows.length) } });
  }
  const { unpriced_calls: unpriced } = answer.total;
  if (unpriced) rows.push({ class: "unpriced", cells: { name: "Of these, unpriced", cost: h("span", { class: "warn", title: "Unknown is not zero: these calls are in no amount above" }, "unknown"), calls: h("span", { class: "warn" }, count(unpriced)) } });
  rows.push(...more, { class: "total", cells: { name: "Total", ...cells(answer.total, -1), cost: money(total, digits), share: "" } });
  return rows;
}

function nameCell(page, key, row, link) {
  const value = row.key[key];
  return h("a", { class: value === null ? "none" : null, href: link ? link(row) : page.link({ filters: { [key]: [value ?? ""] }, own: { offset: null, search: null } }), title: value === null ? `Only calls without ${said(key)}` : `Only ${value}` }, named(value));
}

const shareCell = (measures, total) => {
  const part = ratio(cost(measures), total);
  return h("span", { class: "share" }, h("span", { class: "end" }, percent(part)), bar([{ ratio: part ?? 0 }]));
};

function changed(row) {
  if (!row.previous || row.previous.calls === 0) return pill("new", "", "nothing in the time before");
  return h("span", { title: row.previous ? `before: ${usd(parse(row.previous.cost_usd))}` : null }, changeCell(row.change_ratio, change(row.change_ratio)));
}

function trend(row) {
  const [arrow, kind, text] = TRENDS[row.trend] ?? ["–", "soft", "too few days to tell"];
  return h("span", { class: kind, title: text }, h("span", { "aria-hidden": "true" }, arrow), h("span", { class: "unseen" }, text));
}

function tokensCell(measures) {
  const all = tokens(measures);
  return h("span", { title: all === null ? "no call says" : `${count(measures.input_tokens)} in, ${count(measures.output_tokens)} out` }, short(all));
}

const errorCell = (measures) => h("span", { class: measures.error_ratio > 0.05 ? "bad" : null, title: plural(measures.failed_calls, "failed call") }, percent(measures.error_ratio));

const unitDigits = (measured, key) => finePlaces(measured.map((one) => each(one, key)));
