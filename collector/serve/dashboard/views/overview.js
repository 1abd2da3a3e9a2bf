// At a glance: what is spent, how that compares, what is not priced, and where it goes.
import { h } from "../lib/dom.js";
import { dimensionSelect, options, select } from "../lib/dimension.js";
import { nothing } from "../lib/empty.js";
import { ago, change, count, instant, named, percent, plural } from "../lib/format.js";
import { changeCell, cost, costCell } from "../lib/measures.js";
import { apportioned, decimal, exact, parse, places, ratio, sum, usd } from "../lib/money.js";
import { stackedOverTime } from "../lib/over_time.js";
import { bar } from "../lib/spark.js";
import { heading, said } from "../lib/state.js";
import { table } from "../lib/table.js";

const TOP = ["provider", "model", "agent", "customer"];
const TOP_ROWS = 5;
const SERIES = 8; // as many as there are colours
const SAY_MS = 60_000;
let lastSaid = -Infinity;

export function panels(page) {
  const by = page.own("by", "provider");
  const bucket = page.own("bucket", "auto");
  const compare = page.own("compare") === "previous";
  const series = () => page.ask("/timeseries", { by, bucket, limit: SERIES, compare: compare ? "previous" : null });
  return [
    { id: "ticker", title: "Now", plain: true, shape: "tiles", ask: () => page.ask("/ticker"), draw: (data) => ticker(page, data) },
    {
      id: "spend", title: "Spend over time", shape: "tall",
      tools: () => spendTools(page, by, bucket, compare),
      ask: async () => {
        const answer = await series();
        return { answer, none: isEmpty(answer) ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? spendChart(page, by, answer),
    },
    ...TOP.map((dimension) => top(page, dimension, dimension === by && dimension === "provider" ? series : null)),
  ];
}

const isEmpty = (answer) => answer.series.length === 0 && !answer.other && answer.total.values.every((value) => parse(value) === 0n) && !answer.total.unpriced_calls.some(Boolean);

function spendChart(page, by, answer) {
  const grouped = by !== "none";
  return stackedOverTime({
    answer, by: grouped ? by : null,
    label: grouped ? `Spend by ${said(by)} per ${answer.bucket}` : `Spend per ${answer.bucket}`,
    link: grouped ? (value) => page.link({ filters: { [by]: [value ?? ""] } }) : null,
    zoom: ["minute", "hour"].includes(answer.bucket) ? null : (since, until) => ({ since, until }),
    page,
  });
}

function spendTools(page, by, bucket, compare) {
  const buckets = [["auto", "automatic"], ["minute", "minute"], ["hour", "hour"], ["day", "day"], ["week", "week"], ["month", "month"]];
  return [
    dimensionSelect(page, { chosen: by, none: "nothing" }),
    select({ label: "Per", name: "bucket", value: bucket, options: options(buckets), onchange: (value) => page.go({ own: { bucket: value === "auto" ? null : value } }) }),
    h("button", { type: "button", class: "toggle", "aria-pressed": String(compare), onclick: () => page.go({ own: { compare: compare ? null : "previous" } }) }, "Period before"),
  ];
}

function ticker(page, data) {
  announce(page, data);
  const zone = data.tz ?? page.zone();
  const month = data.projection?.month ?? null;
  return h("dl", { class: "tiles" }, [
    tile("Today", usd(cost(data.today)), exact(cost(data.today)), [
      data.change_today_ratio === null ? "nothing yesterday by this hour" : [changeCell(data.change_today_ratio, change(data.change_today_ratio)), ` on yesterday by now (${usd(cost(data.yesterday_at_this_hour))})`],
      h("br"), `yesterday in all ${usd(cost(data.yesterday))}`,
    ]),
    tile("This month", usd(cost(data.month)), exact(cost(data.month)), month
      ? [`projected ${usd(parse(month.value_usd))}`, h("br"), `${usd(parse(month.low_usd))} to ${usd(parse(month.high_usd))}`]
      : "no projection yet: it takes a few days of spend"),
    tile("Average per run", usd(parse(data.cost_per_run_usd)), exact(parse(data.cost_per_run_usd)), data.runs?.count
      ? [`${plural(data.runs.count, "run")} in 24 hours`, h("br"), `median ${usd(parse(data.runs.p50_usd))}, p95 ${usd(parse(data.runs.p95_usd))}`]
      : "no run in the last 24 hours"),
    tile("Unpriced calls this month", count(data.unpriced_calls), null, data.unpriced_calls
      ? [h("span", { class: "warn" }, "their cost is unknown, not zero"), h("br"), h("a", { href: page.link({ view: "breakdown", own: { by: ["model"] }, filters: { cost_status: ["unpriced"] } }) }, "Which models")]
      : "every call has a price", data.unpriced_calls ? "warn" : ""),
    tile("Last span", ago(data.freshness.age_seconds), data.freshness.last_span_at, data.freshness.last_span_at ? instant(data.freshness.last_span_at, zone) : "none has arrived yet"),
  ]);
}

function tile(label, value, title, note, kind = "") {
  return h("div", { class: "tile", "data-key": label }, h("dt", {}, label), h("dd", { class: `big ${kind}`, title }, value), h("dd", { class: "note" }, note));
}

/** For listeners: now and then, for a figure that moves each second would drown everything else. */
function announce(page, data) {
  if (performance.now() - lastSaid < SAY_MS) return;
  lastSaid = performance.now();
  page.say(`Spent today: ${usd(cost(data.today))}. This month: ${usd(cost(data.month))}. ${plural(data.unpriced_calls, "unpriced call")}.`);
}

/** `series`: asks for a series of every group, where there are so few that the chart has asked for them all. */
function top(page, by, series) {
  return {
    id: `top-${by}`, title: `By ${said(by)}`, size: "half", shape: "list",
    tools: () => h("a", { href: page.link({ view: "breakdown", own: { by: [by] } }) }, "All", h("span", { class: "unseen" }, ` by ${said(by)}`)),
    ask: async () => (series && summed(by, await series())) ?? page.ask("/breakdown", { by, limit: TOP_ROWS }),
    draw: (answer) => topTable(page, by, answer),
  };
}

/** What /breakdown would say of the groups of a chart; null where the chart does not have them all. */
function summed(by, answer) {
  if (answer.other) return null;
  const groups = answer.series.map((one) => ({ key: { [by]: one.key }, measures: { calls: one.calls, unpriced_calls: one.unpriced_calls, cost_usd: one.total } }));
  const rows = groups.slice(0, TOP_ROWS);
  const rest = groups.slice(TOP_ROWS);
  return { rows, groups: groups.length, total: added(groups), other: rest.length ? { groups: rest.length, measures: added(rest) } : null };
}

function added(groups) {
  const all = (key) => groups.reduce((total, { measures }) => total + measures[key], 0);
  const known = sum(groups.map(({ measures }) => parse(measures.cost_usd))) ?? 0n;
  return { calls: all("calls"), unpriced_calls: all("unpriced_calls"), cost_usd: decimal(known) };
}

function lacking(page, by) {
  return h("p", { class: "soft" }, `No call says its ${said(by)}. `, h("a", { href: page.link({ view: "breakdown", own: { by: [by] } }) }, "How to set it"));
}

function topTable(page, by, answer) {
  if (!answer.rows.length) return h("p", { class: "soft" }, "Nothing in this time.");
  if (answer.groups === 1 && answer.rows[0].key[by] === null) return lacking(page, by);
  const total = parse(answer.total.cost_usd);
  const parts = [...answer.rows.map((row) => row.measures), ...(answer.other ? [answer.other.measures] : [])];
  const digits = places([total]);
  const shown = apportioned(parts.map(cost), total, digits);
  const name = (row) => (row.key[by] === null ? h("a", { class: "none", href: page.link({ filters: { [by]: [""] } }) }, "(none)") : h("a", { href: page.link({ filters: { [by]: [row.key[by]] } }), title: row.key[by] }, named(row.key[by])));
  const part = (measures) => ratio(cost(measures), total);
  const share = (measures) => h("span", { class: "share" }, h("span", { class: "end" }, percent(part(measures))), bar([{ ratio: part(measures) ?? 0 }]));
  const foot = [];
  if (answer.other) foot.push({ class: "other", cells: { name: `Other (${count(answer.other.groups)})`, calls: count(answer.other.measures.calls), cost: costCell(answer.other.measures, digits, shown.at(-1)), share: share(answer.other.measures) } });
  foot.push({ class: "total", cells: { name: "Total", calls: count(answer.total.calls), cost: costCell(answer.total, digits), share: "" } });
  return table({
    caption: `Spend by ${said(by)}`, rows: answer.rows, rowKey: (row) => row.key[by] ?? "", foot,
    columns: [
      { key: "name", label: heading(by), head: true, cell: name },
      { key: "calls", label: "Calls", class: "calls", align: "end", narrow: "hide", cell: (row) => count(row.measures.calls) },
      { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row, at) => costCell(row.measures, digits, shown[at]) },
      { key: "share", label: "Share", cell: (row) => share(row.measures) },
    ],
  });
}
