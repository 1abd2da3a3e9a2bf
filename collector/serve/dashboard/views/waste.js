// Money that bought nothing, or could have been saved: retries, failures, what no cache held, the longest answers.
import { h } from "../lib/dom.js";
import { nothing } from "../lib/empty.js";
import { count, instant, named, percent, short } from "../lib/format.js";
import { exact, finePlaces, parse, ratio, usd } from "../lib/money.js";
import { bar, swatch } from "../lib/spark.js";
import { colour } from "../lib/charts.js";
import { money, table } from "../lib/table.js";

const LONGEST = 10;

export function panels(page) {
  const waste = () => page.ask("/waste");
  const whole = async () => {
    const [answer, spend] = await Promise.all([waste(), page.ask("/spend")]);
    return { answer, total: spend.total, none: spend.total.calls === 0 ? await nothing(page) : null };
  };
  return [
    { id: "waste", title: "In short", plain: true, shape: "tiles", ask: whole, draw: ({ answer, total, none }) => none ?? tiles(page, answer, total) },
    { id: "cache", title: "Input tokens and the cache", ask: waste, draw: (answer) => cache(answer.cache) },
    { id: "retries", title: "Retries, by agent and model", size: "half", shape: "list", ask: waste, draw: (answer) => retries(page, answer.retries) },
    { id: "longest", title: "Longest answers", size: "half", shape: "list", ask: waste, draw: (answer) => longest(page, answer.longest.slice(0, LONGEST)) },
  ];
}

function tiles(page, answer, total) {
  const spent = parse(total.cost_usd);
  const [retried, wasted, saving] = [parse(answer.retry_cost_usd), parse(answer.wasted_cost_usd), parse(answer.cache.perfect_saving_usd)];
  const part = (amount) => `${percent(ratio(amount, spent))} of ${usd(spent)}`;
  return h("dl", { class: "tiles" }, [
    tile("Retries", usd(retried), exact(retried), [part(retried), h("br"), link(page, "retry", "The calls that repeat another")]),
    tile("Bought nothing", usd(wasted), exact(wasted), [part(wasted), h("br"), link(page, "wasted", "The calls that failed and were paid")]),
    tile("Failed calls", count(answer.failed_calls), null, [`${percent(total.calls ? answer.failed_calls / total.calls : null)} of ${count(total.calls)}`, h("br"), link(page, "error", "Which models")]),
    tile("If all input were cached", saving === null ? "–" : usd(saving), saving === null ? null : exact(saving), saving === null ? "no call here has a price for cached input" : "would be saved at most: the bound, not a forecast"),
  ]);
}

function tile(label, value, title, note) {
  return h("div", { class: "tile", "data-key": label }, h("dt", {}, label), h("dd", { class: "big", title }, value), h("dd", { class: "note" }, note));
}

const link = (page, status, text) => h("a", { href: page.link({ view: "breakdown", own: { by: ["model"] }, filters: { status: [status] } }) }, text);

function cache({ input_tokens: input, cache_read_tokens: read, hit_ratio: ratioRead }) {
  if (!input) return h("p", { class: "soft" }, "No call in this time says its input tokens.");
  const share = ratioRead ?? (read ?? 0) / input;
  return [
    bar([{ ratio: share, fill: colour(4), label: `${percent(share)} read from a cache` }, { ratio: 1 - share, fill: colour(0), label: `${percent(1 - share)} not` }], { label: `${percent(share)} of the input tokens were read from a cache` }),
    h("ul", { class: "legend" }, h("li", {}, swatch(colour(4)), "Read from a cache", h("span", { class: "soft" }, `${short(read)} tokens, ${percent(share)}`)), h("li", {}, swatch(colour(0)), "Paid in full", h("span", { class: "soft" }, `${short(input - (read ?? 0))} tokens`))),
    h("p", { class: "soft" }, "Of models whose prices know a cache."),
  ];
}

function retries(page, rows) {
  if (!rows.length) return h("p", { class: "soft" }, "No call in this time repeats another.");
  const digits = finePlaces(rows.map((row) => parse(row.cost_usd)));
  return table({
    caption: "Retries by agent and model", rows, rowKey: (row) => JSON.stringify([row.agent, row.model]),
    columns: [
      { key: "agent", label: "Agent", head: true, cell: (row) => h("a", { class: row.agent === null ? "none" : null, href: page.link({ filters: { agent: [row.agent ?? ""] } }) }, named(row.agent)) },
      { key: "model", label: "Model", cell: (row) => named(row.model) },
      { key: "retries", label: "Retries", align: "end", cell: (row) => count(row.retries) },
      { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row) => money(parse(row.cost_usd), digits) },
    ],
  });
}

function longest(page, rows) {
  if (!rows.length) return h("p", { class: "soft" }, "No call in this time says its output tokens.");
  const digits = finePlaces(rows.map((row) => parse(row.cost_usd)));
  return table({
    caption: "Calls with the most output tokens", rows, rowKey: (row) => `${row.trace_id}${row.span_id}`,
    columns: [
      { key: "tokens", label: "Output tokens", head: true, align: "end", cell: (row) => h("a", { href: page.link({ view: "runs", filters: { trace_id: [row.trace_id] } }), title: `trace ${row.trace_id}` }, count(row.output_tokens)) },
      { key: "agent", label: "Agent", cell: (row) => named(row.agent) },
      { key: "model", label: "Model", cell: (row) => named(row.model) },
      { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row) => money(parse(row.cost_usd), digits) },
      { key: "at", label: "At", cell: (row) => h("span", { class: "soft" }, instant(row.started_at, page.zone())) },
    ],
  });
}
