// The cost of every group of any dimension, in a table that adds up.
import { address } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dimensionSelect } from "../lib/dimension.js";
import { missing, nothing } from "../lib/empty.js";
import { change, count, named, percent, plural, short } from "../lib/format.js";
import { changeCell, cost, costCell, each, tokens } from "../lib/measures.js";
import { apportioned, finePlaces, height, parse, places, ratio, usd } from "../lib/money.js";
import { bar, pill, sparkline } from "../lib/spark.js";
import { heading, said } from "../lib/state.js";
import { money, table } from "../lib/table.js";

const PAGE_ROWS = 50;
const TYPING_MS = 250;
const SORTS = ["cost", "calls", "name", "change", "tokens"];
const TRENDS = { increasing: ["↗", "up", "increasing"], stable: ["→", "soft", "stable"], decreasing: ["↘", "down", "decreasing"] };
let typing = 0;

export function panels(page) {
  const by = page.owns("by", ["agent"]);
  return [{
    id: "breakdown", title: `Cost by ${by.map(said).join(" and ")}`, shape: "tall",
    tools: () => tools(page, by),
    ask: () => asked(page, by),
    draw: ({ answer, none }) => none ?? [lacking(by, answer), breakdownTable(page, by, answer), pager(page, answer)],
  }];
}

function question(page, by) {
  const sort = page.own("sort", "cost");
  return { by, sort: SORTS.includes(sort) ? sort : "cost", search: page.own("search") };
}

async function asked(page, by) {
  const offset = Number(page.own("offset", "0")) || 0;
  const answer = await page.ask("/breakdown", { ...question(page, by), limit: PAGE_ROWS, offset: offset || null, compare: "previous", executions: "true", sparkline: "day" });
  return { answer, none: answer.total.calls === 0 && !page.own("search") ? await nothing(page) : null };
}

/** Where no call names the dimension at all: how to set it. The table below still shows what is spent. */
function lacking(by, answer) {
  const nameless = (key) => answer.rows.length > 0 && answer.rows.every((row) => row.key[key] === null) && !answer.other;
  const key = by.find(nameless);
  return key ? missing(key) : null;
}

function tools(page, by) {
  const search = h("input", { type: "search", name: "search", value: page.own("search", ""), placeholder: `Find ${said(by[0])}`, "aria-label": `Find ${said(by[0])}`, oninput: (event) => find(page, event.target.value) });
  const second = by[1] ?? "none";
  return [
    dimensionSelect(page, { chosen: by[0], label: "By", onpick: (value) => group(page, value, second) }),
    dimensionSelect(page, { chosen: second, label: "and", name: "and", none: "nothing else", onpick: (value) => group(page, by[0], value) }),
    search,
    h("a", { class: "button", href: address("/export/breakdown.csv", page.params(question(page, by))), download: "" }, "CSV"),
  ];
}

function group(page, first, second) {
  page.go({ own: { by: second === "none" || second === first ? [first] : [first, second], offset: null, search: null } });
}

function find(page, text) {
  clearTimeout(typing);
  typing = setTimeout(() => page.go({ own: { search: text.trim() || null, offset: null } }, { replace: true }), TYPING_MS);
}

function breakdownTable(page, by, answer) {
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
  const sort = question(page, by).sort;
  return table({
    caption: `Cost by ${by.map(said).join(" and ")}`, rows: answer.rows, rowKey: (row) => JSON.stringify(by.map((key) => row.key[key])),
    sort: { key: sort, descending: sort !== "name" }, onsort: (key) => page.go({ own: { sort: key === "cost" ? null : key, offset: null } }),
    foot: foot(answer, cells, digits, total),
    columns: [
      ...by.map((key, at) => ({ key: at ? `by${at}` : "name", label: heading(key), sort: at ? undefined : "name", head: at === 0, cell: (row) => nameCell(page, key, row) })),
      { key: "cost", label: "Cost", class: "cost", align: "end", sort: "cost", cell: figure("cost") },
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

function foot(answer, cells, digits, total) {
  const rows = [];
  if (answer.other) {
    const { measures, groups } = answer.other;
    rows.push({ class: "other", cells: { name: `Other (${plural(groups, "group")})`, ...cells(measures, answer.rows.length) } });
  }
  const { unpriced_calls: unpriced } = answer.total;
  if (unpriced) rows.push({ class: "unpriced", cells: { name: "Of these, unpriced", cost: h("span", { class: "warn", title: "Unknown is not zero: these calls are in no amount above" }, "unknown"), calls: h("span", { class: "warn" }, count(unpriced)) } });
  rows.push({ class: "total", cells: { name: "Total", ...cells(answer.total, -1), cost: money(total, digits), share: "" } });
  return rows;
}

function nameCell(page, key, row) {
  const value = row.key[key];
  return h("a", { class: value === null ? "none" : null, href: page.link({ filters: { [key]: [value ?? ""] }, own: { offset: null, search: null } }), title: value === null ? `Only calls without ${said(key)}` : `Only ${value}` }, named(value));
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

function pager(page, answer) {
  const offset = Number(page.own("offset", "0")) || 0;
  if (answer.groups <= PAGE_ROWS && offset === 0) return null;
  const last = Math.min(offset + answer.rows.length, answer.groups);
  const to = (label, at, possible) => (possible ? h("a", { class: "button", href: page.link({ own: { offset: at > 0 ? String(at) : null } }) }, label) : h("span", { class: "button", "aria-disabled": "true" }, label));
  return h("div", { class: "pages" }, `${count(offset + 1)} to ${count(last)} of ${count(answer.groups)}`, to("Previous", offset - PAGE_ROWS, offset > 0), to("Next", offset + PAGE_ROWS, last < answer.groups));
}
