// Charts of an answer of /timeseries, with a legend of links and the same figures as a table.
import { bucketAxis, chart, colour, hue, moneyAxis, plain } from "./charts.js";
import { h } from "./dom.js";
import { bucketName, count, named, plural } from "./format.js";
import { apportioned, brief, exact, height, parse, places, sum, usd } from "./money.js";
import { pill, swatch } from "./spark.js";
import { money, table } from "./table.js";

/**
 * Bars of dollars per bucket, stacked by series: `answer` of /timeseries, `by` its dimension. The dashed line is the
 * period before, where the answer has one. `link(value)`: where a name of the legend leads; `zoom(since, until)`: the
 * change of state that shows one bucket, when it is clicked (a link in the table).
 */
export function stackedOverTime({ page, answer, by, label, link = null, zoom = null, size = 288 }) {
  const series = seriesOf(answer, by);
  const names = answer.buckets.map((start) => bucketName(start, answer.bucket));
  const labels = answer.buckets.map((start) => bucketName(start, answer.bucket, true));
  const totals = answer.total.values.map(parse);
  const before = answer.previous ? answer.previous.values.slice(0, totals.length).map(parse) : null;
  const digits = places([...totals, ...(before ?? [])]);
  const xs = labels.map((_, at) => at);

  const data = (theme) => [
    ...series.map((one) => ({
      type: "bar", x: xs, y: one.values.map(height), name: plain(one.name), marker: { color: colour(one.hue), line: { width: 0 } },
      customdata: one.values.map((value) => usd(value, digits)), hovertemplate: "%{customdata}", hoverinfo: "x+y",
    })),
    ...(before ? [{ type: "scatter", mode: "lines", x: xs.slice(0, before.length), y: before.map(height), name: "Period before", line: { color: theme.soft, width: 1.5, dash: "dot", shape: "linear" }, customdata: before.map((value) => usd(value, digits)), hovertemplate: "%{customdata}" }] : []),
    { type: "scatter", mode: "none", x: xs, y: totals.map(height), name: "Total", showlegend: false, customdata: totals.map((value, at) => usd(value, digits) + unpriced(answer, at)), hovertemplate: "%{customdata}" },
  ];
  const layout = (theme, width) => titledLayout({ barmode: "stack", bargap: labels.length > 60 ? 0.08 : 0.22, xaxis: bucketAxis(theme, labels, width), yaxis: moneyAxis(theme) });
  const into = zoom && ((at) => zoom(localTime(answer.buckets[at]), at + 1 < answer.buckets.length ? localTime(answer.buckets[at + 1]) : null));
  const when = into && ((row) => h("a", { href: page.link(into(row.at)) }, row.name));
  return chart({
    label, height: size, data: (theme) => titled(data(theme), names), layout, onpick: into && ((point) => page.go(into(point.pointIndex))),
    legend: legend(series, before, link), table: () => asTable(answer, series, names, totals, digits, label, when),
  });
}

/** A bucket's start as the API reads it in the page's time zone: without an offset. */
const localTime = (start) => start.slice(0, 16);

/** Lines of dollars per bucket, one for each series. */
export function linesOverTime({ answer, by, label, link = null, size = 288 }) {
  const series = seriesOf(answer, by).filter((one) => one.hue !== null);
  const names = answer.buckets.map((start) => bucketName(start, answer.bucket));
  const labels = answer.buckets.map((start) => bucketName(start, answer.bucket, true));
  const totals = answer.total.values.map(parse);
  const digits = places(totals);
  const xs = labels.map((_, at) => at);
  const data = () => titled(series.map((one) => ({
    type: "scatter", mode: "lines", x: xs, y: one.values.map(height), name: plain(one.name), line: { color: colour(one.hue), width: 2 },
    customdata: one.values.map((value) => usd(value, digits)), hovertemplate: "%{customdata}",
  })), names);
  const layout = (theme, width) => titledLayout({ xaxis: bucketAxis(theme, labels, width), yaxis: moneyAxis(theme) });
  return chart({ label, height: size, data, layout, legend: legend(series, null, link), table: () => asTable(answer, seriesOf(answer, by), names, totals, digits, label) });
}

/**
 * The box that follows the pointer is headed by the bucket's full name, which is an invisible first line: the library's
 * own heading would be the position on the axis, and is made empty.
 */
function titled(traces, names) {
  const first = { type: "scatter", mode: "none", x: names.map((_, at) => at), y: names.map(() => 0), name: "", customdata: names.map(plain), hovertemplate: "%{customdata}<extra></extra>" };
  return [first, ...traces].map((trace) => ({ ...trace, hovertemplatefallback: "" }));
}

const titledLayout = (layout) => ({ ...layout, hovermode: "x unified", xaxis: { ...layout.xaxis, hoverformat: " ", unifiedhovertitle: { text: "%{none}" } } });

function seriesOf(answer, by) {
  const listed = answer.series.map((one) => ({ key: one.key, name: by ? named(one.key) : "All", hue: hue(by ?? "", one.key), values: one.values.map(parse), total: one.calls && one.calls === one.unpriced_calls ? null : parse(one.total), unpriced: one.unpriced_calls ?? 0 }));
  const other = answer.other ? [{ name: "Other", hue: null, values: answer.other.values.map(parse), total: sum(answer.other.values.map(parse)) }] : [];
  return [...listed, ...other];
}

function unpriced(answer, at) {
  const calls = answer.total.unpriced_calls?.[at] ?? 0;
  return calls ? ` + ${plural(calls, "unpriced call")}` : "";
}

function legend(series, before, link) {
  const item = (one) => h("li", {}, swatch(colour(one.hue)), link && one.hue !== null ? h("a", { href: link(one.key), title: `Only ${one.name}` }, one.name) : one.name, amount(one));
  return h("ul", { class: "legend" }, series.map(item), before ? h("li", {}, h("span", { class: "dash", "aria-hidden": "true" }), "Period before", h("span", { class: "soft", title: exact(sum(before)) }, brief(sum(before)))) : null);
}

function amount(one) {
  if (one.total === null && one.unpriced) return pill("unpriced", "warn", `${plural(one.unpriced, "call")} without a price`);
  return [h("span", { class: "soft", title: exact(one.total) }, brief(one.total)), one.unpriced ? pill(`+${count(one.unpriced)}`, "warn", `and ${plural(one.unpriced, "call")} without a price`) : null];
}

function asTable(answer, series, names, totals, digits, label, when = null) {
  const rows = names.map((name, at) => {
    const amounts = series.map((one) => one.values[at]);
    return { name, at, shown: apportioned(amounts, totals[at], digits), amounts };
  });
  const columns = [
    { key: "when", label: "When", head: true, cell: when ?? ((row) => row.name) },
    ...series.map((one, index) => ({ key: `s${index}`, label: one.name, align: "end", cell: (row) => money(row.amounts[index], digits, { shown: row.shown[index] }) })),
    { key: "total", label: "Total", align: "end", cell: (row) => money(totals[row.at], digits) },
    { key: "unpriced", label: "Unpriced calls", align: "end", cell: (row) => count(answer.total.unpriced_calls?.[row.at] ?? 0) },
  ];
  return table({ caption: label, columns, rows });
}
