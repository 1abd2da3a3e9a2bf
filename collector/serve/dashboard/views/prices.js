// Prices and trust: what has no price and how to give it one, where costs come from, and the rates themselves.
import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { code, nothing } from "../lib/empty.js";
import { count, instant, named, percent, plural, short } from "../lib/format.js";
import { cost, costCell } from "../lib/measures.js";
import { apportioned, exact, parse, places, ratio, usd } from "../lib/money.js";
import { pill } from "../lib/spark.js";
import { heading } from "../lib/state.js";
import { money, table } from "../lib/table.js";

const ROWS = 40;
const TYPING_MS = 250;
const SHOWN = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"];
const SOURCES = {
  priced: "by the rate card, from the tokens of the call", free: "the provider does not bill it", reported: "as the provider or the span said", estimated: "by the rate card, from estimated tokens",
  partial: "some class of its tokens has no rate: the rest is counted", unpriced: "no rate is known: in no total, and not free",
};
let typing = 0;

export function panels(page) {
  return [
    {
      id: "unpriced", title: "What has no price", shape: "list",
      ask: async () => {
        const answer = await page.ask("/unpriced");
        return { answer, none: answer.calls === 0 && (await page.ask("/spend")).total.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? unpriced(page, answer),
    },
    { id: "sources", title: "Where costs come from", shape: "list", size: "half", ask: () => page.ask("/breakdown", { by: "cost_status", limit: 10 }), draw: (answer) => sources(page, answer) },
    { id: "runs", title: "Price runs", shape: "list", size: "half", ask: () => page.ask("/price-runs"), draw: ({ runs }) => priceRuns(page, runs) },
    { id: "rates", title: "Rates", shape: "tall", still: true, tools: () => find(page), ask: () => (page.own("search") ? get("/prices", { search: page.own("search"), limit: ROWS }) : page.ask("/prices", { used: "true", limit: ROWS })), draw: (answer) => rates(page, answer) },
  ];
}

function unpriced(page, answer) {
  if (!answer.rows.length) return h("p", { class: "soft" }, "Every call has a price.");
  const model = (row) => named(row.response_model ?? row.request_model);
  const key = (row) => (row.response_model ? "response_model" : "request_model");
  return table({
    caption: "Calls without a price, and why", rows: answer.rows, rowKey: (row) => JSON.stringify([row.provider, row.request_model, row.response_model, row.cost_status, row.cost_reason]),
    columns: [
      { key: "model", label: "Model", head: true, cell: (row) => h("a", { href: page.link({ view: "breakdown", filters: { [key(row)]: [row[key(row)] ?? ""], cost_status: [row.cost_status] }, own: { by: "agent" } }) }, model(row)) },
      { key: "provider", label: "Provider", narrow: "hide", cell: (row) => h("span", { class: "soft" }, named(row.provider)) },
      { key: "calls", label: "Calls", align: "end", cell: (row) => count(row.calls) },
      { key: "tokens", label: "Tokens", align: "end", cell: (row) => short((row.input_tokens ?? 0) + (row.output_tokens ?? 0)) },
      { key: "why", label: "Why", class: "why", cell: (row) => [pill(row.cost_status, "warn"), " ", row.cost_reason] },
      { key: "last", label: "Last", narrow: "hide", cell: (row) => instant(row.last_call_at, page.zone()) },
      { key: "fix", label: "To price it", cell: (row) => (row.suggested_override ? h("details", {}, h("summary", {}, "Put in the config"), code(`processors:\n  cost:\n    ${row.suggested_override}`)) : "") },
    ],
  });
}

function sources(page, answer) {
  const total = parse(answer.total.cost_usd);
  const digits = places([total]);
  const shown = apportioned(answer.rows.map((row) => cost(row.measures)), total, digits);
  return table({
    caption: "Calls by where their cost comes from", rows: answer.rows, rowKey: (row) => row.key.cost_status,
    foot: [{ class: "total", cells: { source: "Total", calls: count(answer.total.calls), cost: costCell(answer.total, digits) } }],
    columns: [
      { key: "source", label: "Cost is", head: true, cell: (row) => h("a", { href: page.link({ view: "breakdown", filters: { cost_status: [row.key.cost_status ?? ""] } }), title: SOURCES[row.key.cost_status] }, named(row.key.cost_status)) },
      { key: "means", label: "", class: "why", narrow: "hide", cell: (row) => h("span", { class: "soft" }, SOURCES[row.key.cost_status] ?? "") },
      { key: "calls", label: "Calls", align: "end", cell: (row) => count(row.measures.calls) },
      { key: "cost", label: "Cost", align: "end", cell: (row, at) => costCell(row.measures, digits, shown[at]) },
      { key: "share", label: "Share", align: "end", cell: (row) => percent(ratio(cost(row.measures), total)) },
    ],
  });
}

function priceRuns(page, runs) {
  if (!runs.length) return h("p", { class: "soft" }, "All calls have the prices of when they arrived: none was priced again. ", h("code", {}, "otel-cost reprice --dry-run"), " says what newer prices would change.");
  return table({
    caption: "Price runs", rows: runs, rowKey: (run) => run.name,
    columns: [
      { key: "name", label: "Run", head: true, cell: (run) => [run.name, " ", run.undone_at ? pill("taken back", "", `${instant(run.undone_at, page.zone())}${run.undone_by ? ` by ${run.undone_by}` : ""}`) : null] },
      { key: "at", label: "When", cell: (run) => instant(run.applied_at, page.zone()) },
      { key: "changed", label: "Changed", align: "end", cell: (run) => h("span", { title: `by card ${run.card}${run.applied_by ? `, applied by ${run.applied_by}` : ""}` }, `${count(run.changed_calls)} of ${plural(run.calls, "call")}`) },
      { key: "unpriced", label: "Unpriced", title: "Calls without a price, before and after", align: "end", cell: (run) => (run.unpriced_before === run.unpriced_after ? count(run.unpriced_after) : `${count(run.unpriced_before)} → ${count(run.unpriced_after)}`) },
      { key: "delta", label: "Difference", align: "end", cell: (run) => (run.delta_usd === null ? "–" : money(parse(run.delta_usd))) },
    ],
  });
}

function find(page) {
  const typed = (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => page.go({ own: { search: event.target.value.trim() || null } }, { replace: true }), TYPING_MS);
  };
  return h("input", { type: "search", name: "search", value: page.own("search", ""), placeholder: "Find a model", "aria-label": "Find a model", oninput: typed });
}

function rates(page, answer) {
  const { card } = answer;
  const more = answer.groups - answer.rows.length;
  return [
    h("p", { class: "soft" }, `Card ${card.digest} of ${card.updated_at}, ${count(card.rows)} rates from ${card.sources.slice(0, 2).join(", ")}. Dollars per million tokens; point at one for others.`),
    answer.rows.length
      ? table({
          caption: "Rates", rows: answer.rows, rowKey: (row) => row.rate_row,
          columns: [
            { key: "model", label: "Model", head: true, cell: (row) => h("span", { title: row.rate_row }, row.model) },
            { key: "provider", label: "Provider", cell: (row) => h("span", { class: "soft" }, row.provider) },
            { key: "terms", label: "Terms", class: "why", cell: terms },
            ...SHOWN.map((unit) => ({ key: unit, label: heading(unit.replace("_tokens", "").replaceAll("_", " ")), align: "end", cell: (row) => rate(row.rates[unit]) })),
            { key: "others", label: "Others", narrow: "hide", cell: (row) => others(row) },
            { key: "source", label: "Source", narrow: "hide", cell: (row) => h("span", { class: "soft" }, row.source) },
          ],
        })
      : h("p", { class: "soft" }, "No rate of that name. The nearest spelling is found by the beginning of a model's or a provider's name."),
    more > 0 ? h("p", { class: "soft" }, `${count(more)} more: find them by name.`) : null,
    page.own("search") ? null : h("p", { class: "soft" }, `Those that the calls of this time were priced with; the card has ${count(card.rows)}: find them by name.`),
  ];
}

/** A rate as its catalogue writes it; per million where it is per million. */
const rate = (one) => (one ? h("span", { title: `per ${count(one.per)}` }, exact(parse(one.usd))) : h("span", { class: "soft" }, "–"));

function others(row) {
  const left = Object.entries(row.rates).filter(([unit]) => !SHOWN.includes(unit));
  return left.length ? h("span", { class: "soft", title: left.map(([unit, one]) => `${unit.replaceAll("_", " ")}: ${usd(parse(one.usd), 4)} per ${count(one.per)}`).join("\n") }, plural(left.length, "more", "more")) : "";
}

function terms(row) {
  const said = [
    row.variant === "standard" ? null : row.variant, row.region, row.input_tokens_above === null ? null : `above ${count(row.input_tokens_above)} input tokens`, row.hours_utc ? `${row.hours_utc} UTC` : null,
    row.valid_from ? `from ${row.valid_from}` : null, row.valid_to ? `until ${row.valid_to}` : null, row.multiplier ? `× ${row.multiplier}` : null,
  ];
  return h("span", { class: "soft" }, said.filter(Boolean).join(", "));
}
