// What the bill will be, how good such forecasts were, and what was out of the ordinary and why.
import { chart, bucketAxis, colour, moneyAxis } from "../lib/charts.js";
import { h } from "../lib/dom.js";
import { empty } from "../lib/empty.js";
import { bucketName, count, named, percent, periodName, plural } from "../lib/format.js";
import { height, parse, places, usd } from "../lib/money.js";
import { pill, swatch } from "../lib/spark.js";
import { heading } from "../lib/state.js";
import { money, table } from "../lib/table.js";

const PERIODS = [["day", "Today"], ["week", "This week"], ["month", "This month"]];
const CAUSES = { volume: "more calls", tokens_per_call: "longer calls", model_switch: "another model", price_change: "another price", mix: "several causes" };
const PARTS = [["volume_usd", "Calls"], ["tokens_usd", "Tokens per call"], ["model_usd", "Models"], ["price_usd", "Prices"]];
const PALE = 0.45;

export function panels(page) {
  const asked = () => page.ask("/projections");
  return [
    { id: "periods", title: "Forecast", shape: "tiles", plain: true, ask: asked, draw: (answer) => h("dl", { class: "tiles" }, PERIODS.map(([key, name]) => tile(answer[key], name))) },
    { id: "days", title: "Day by day", shape: "tall", ask: asked, draw: (answer) => days(answer.daily) },
    { id: "spikes", title: "Out of the ordinary", shape: "list", still: true, ask: () => page.ask("/anomalies"), draw: ({ spikes }) => spikeTable(page, spikes) },
    { id: "method", title: "How good the forecast is", shape: "list", ask: asked, draw: backTests },
  ];
}

function tile(projection, name) {
  const [value, low, high] = [projection.value_usd, projection.low_usd, projection.high_usd].map(parse);
  const spent = `${usd(parse(projection.so_far_usd))} so far`;
  if (value === null) return h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: "big" }, "–"), h("dd", { class: "note" }, `too little history for a forecast (${plural(projection.days_of_history, "day")}); ${spent}`));
  return h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: "big" }, usd(value)), h("dd", { class: "note" }, low === null ? spent : `most likely ${usd(low)} to ${usd(high)}; ${spent}`), h("dd", { class: "note" }, projection.method));
}

/** Bars of what was spent, paler ones of what is expected, and the band. */
function days(daily) {
  if (!daily.length) return empty("No forecast yet", h("p", {}, "It takes a few days of spend."));
  const names = daily.map((day) => bucketName(day.day, "day"));
  const labels = daily.map((day) => bucketName(day.day, "day", true));
  const [actual, expected, low, high] = ["actual_usd", "projected_usd", "low_usd", "high_usd"].map((key) => daily.map((day) => parse(day[key])));
  const digits = places([...actual, ...high]);
  const left = expected.map((value, at) => (value === null ? null : value - (actual[at] ?? 0n)));
  const xs = daily.map((_, at) => at);
  const bars = (values, name, opacity, says) => ({ type: "bar", x: xs, y: values.map((value) => (value === null ? null : height(value))), name, marker: { color: colour(0), opacity, line: { width: 0 } }, customdata: says, hovertemplate: "%{customdata}<extra></extra>" });
  const band = (at) => (low[at] === null || low[at] === undefined ? "" : `, most likely ${usd(low[at], digits)} to ${usd(high[at], digits)}`);
  const data = (theme) => [
    bars(actual, "Spent", 1, names.map((name, at) => `${name}: ${usd(actual[at], digits)} spent`)),
    { ...bars(left, "Expected", PALE, names.map((name, at) => `${name}: ${usd(expected[at], digits)} expected${band(at)}`)), error_y: errors(theme, expected, low, high) },
  ];
  const layout = (theme, width) => ({ barmode: "stack", bargap: 0.22, xaxis: bucketAxis(theme, labels, width), yaxis: moneyAxis(theme) });
  const rows = daily.map((day, at) => ({ name: names[at], actual: actual[at], expected: expected[at], band: low[at] === null ? "" : `${usd(low[at], digits)} to ${usd(high[at], digits)}` }));
  const asTable = () => table({
    caption: "Spend and forecast per day", rows,
    columns: [
      { key: "name", label: "Day", head: true, cell: (row) => row.name },
      { key: "actual", label: "Spent", align: "end", cell: (row) => money(row.actual, digits) },
      { key: "expected", label: "Expected", align: "end", cell: (row) => (row.expected === null ? "" : money(row.expected, digits)) },
      { key: "band", label: "Most likely", align: "end", cell: (row) => row.band },
    ],
  });
  return chart({ label: "Spend per day, and what is expected until the end of the month", height: 288, data, layout, legend: legend(), table: asTable });
}

function legend() {
  const key = (name, opacity) => h("li", {}, swatch(colour(0), opacity), name);
  return h("ul", { class: "legend" }, key("Spent", 1), key("Expected", PALE), h("li", {}, h("span", { class: "band", "aria-hidden": "true" }), "Most likely between"));
}

function errors(theme, expected, low, high) {
  const far = (a, b) => (a === null || b === null ? 0 : Math.max(0, height(a - b)));
  return { type: "data", symmetric: false, array: expected.map((value, at) => far(high[at], value)), arrayminus: expected.map((value, at) => far(value, low[at])), color: theme.soft, thickness: 1, width: 3 };
}

function backTests(answer) {
  const rows = PERIODS.map(([key, name]) => ({ name, ...answer[key] }));
  const last = (row) => row.back_test?.last;
  return [
    h("p", { class: "soft" }, "Each method is tried on the past: what it would have said then, against what was spent."),
    table({
      caption: "Errors of past forecasts", rows, rowKey: (row) => row.name,
      columns: [
        { key: "name", label: "Of", head: true, cell: (row) => row.name },
        { key: "method", label: "Method", narrow: "hide", cell: (row) => h("span", { class: "soft" }, row.method) },
        { key: "tried", label: "Tried", align: "end", cell: (row) => (row.back_test ? count(row.back_test.periods) : "") },
        { key: "error", label: "Usual error", title: "Half of the forecasts were off by less", align: "end", cell: (row) => percent(row.back_test?.median_error_ratio) },
        { key: "held", label: "Within the band", align: "end", cell: (row) => percent(row.back_test?.coverage_ratio) },
        { key: "last", label: "The last one", cell: (row) => (last(row) ? `${periodName(last(row).period)}: ${usd(parse(last(row).forecast_usd))} forecast, ${usd(parse(last(row).actual_usd))} spent, off by ${percent(Math.abs(last(row).error_ratio))}` : "") },
      ],
    }),
  ];
}

function spikeTable(page, spikes) {
  if (!spikes.length) return h("p", { class: "soft" }, "Nothing cost more than it usually does at that time.");
  const digits = places(spikes.map((spike) => parse(spike.cost_usd)));
  const there = (spike) => page.link({ view: "breakdown", since: spike.at.slice(0, 16), until: after(spike), filters: spike.dimension ? { [spike.dimension]: [spike.value ?? ""] } : {}, own: { by: spike.dimension === "model" ? "agent" : "model" } });
  return table({
    caption: "Costs out of the ordinary, with their cause", rows: spikes, rowKey: (spike) => JSON.stringify([spike.at, spike.dimension, spike.value]),
    columns: [
      { key: "at", label: "When", head: true, cell: (spike) => h("a", { href: there(spike) }, bucketName(spike.at, spike.bucket)) },
      { key: "what", label: "What", cell: (spike) => (spike.dimension ? [h("span", { class: "soft" }, `${heading(spike.dimension)} `), named(spike.value)] : "everything") },
      { key: "cost", label: "Cost", align: "end", cell: (spike) => money(parse(spike.cost_usd), digits) },
      { key: "expected", label: "Usual", align: "end", cell: (spike) => money(parse(spike.expected_usd), digits) },
      { key: "cause", label: "Cause", cell: (spike) => pill(CAUSES[spike.cause] ?? spike.cause, "warn", PARTS.map(([key, name]) => `${name}: ${usd(parse(spike.parts[key]))}`).join("\n")) },
      { key: "why", label: "Why", class: "why", cell: (spike) => spike.explanation },
    ],
  });
}

/** The end of a spike's hour or day by its own clock, which the API reads in the page's time zone. */
function after(spike) {
  const clock = new Date(`${spike.at.slice(0, 19)}Z`);
  clock.setUTCHours(clock.getUTCHours() + (spike.bucket === "hour" ? 1 : 24));
  return clock.toISOString().slice(0, 16);
}
