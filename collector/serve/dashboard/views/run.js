// One run: who spent what in it, and each of its traces as an icicle of inclusive cost and as a tree with receipts.
import { agentBar, agentHue, runName } from "../lib/agent_parts.js";
import { chart, colour, ink, plain } from "../lib/charts.js";
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { empty } from "../lib/empty.js";
import { count, duration, instant, moment, named, percent, plural, short } from "../lib/format.js";
import { cost, costCell } from "../lib/measures.js";
import { exact, finePlaces, height, parse, ratio, usd } from "../lib/money.js";
import { pill, swatch } from "../lib/spark.js";
import { money, table } from "../lib/table.js";

const INDENT_PX = 16;
const DEEPEST_INDENT = 12;
const UNCOUNTED = { wrapper: "its calls are counted, not it", duplicate: "another record of the same call is counted", failed: "failed, and said no usage", ignored: "not a model call" };

export function onePanels(page, run) {
  const asked = () => page.ask(`/runs/${encodeURIComponent(run)}`);
  const chosen = async () => {
    const answer = await asked();
    const trace = page.own("trace") ?? answer.traces[0]?.trace_id;
    return trace ? page.ask(`/traces/${trace}`) : null;
  };
  return [
    { id: "back", title: "Run", plain: true, still: true, draw: () => h("p", {}, h("a", { href: page.link({ own: { id: null, trace: null } }) }, "← All runs")) },
    { id: "run", title: `Run ${runName(run)}`, shape: "tiles", ask: asked, draw: (answer) => summary(page, answer) },
    { id: "traces", title: "Traces", shape: "list", ask: asked, draw: (answer) => (answer.traces.length > 1 ? tracesTable(page, answer) : h("p", { class: "soft" }, "All of it happened in one trace.")) },
    { id: "icicle", title: "Where the money went", shape: "tall", tools: () => traceLinks(page), ask: chosen, draw: (tree) => (tree ? icicle(tree) : gone()) },
    { id: "tree", title: "Spans and receipts", shape: "list", tools: () => shownSpans(page), ask: chosen, draw: (tree) => (tree ? spanTable(page, tree) : gone()) },
  ];
}

const gone = () => empty("This run has no calls here", h("p", {}, "It is outside of the chosen time, or filters leave it out."));

function summary(page, answer) {
  if (answer.total.calls === 0) return gone();
  const { total } = answer;
  const tile = (name, value, note) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: "big" }, value), h("dd", { class: "note" }, note));
  const digits = finePlaces([cost(total)]);
  return [
    h(
      "dl",
      { class: "tiles" },
      tile("Cost", costCell(total, digits), `${plural(total.calls, "call")} in ${plural(answer.trace_count, "trace")}`),
      tile("Took", duration(answer.duration_seconds), `from ${instant(answer.started_at, page.zone())}`),
      tile("Retries", usd(parse(answer.retry_cost_usd)), plural(total.retries, "repeated call")),
      tile("Bought nothing", usd(parse(answer.wasted_cost_usd)), `${plural(total.failed_calls, "failed call")}`),
      tile("Tokens", short((total.input_tokens ?? 0) + (total.output_tokens ?? 0)), `${count(total.input_tokens)} in, ${count(total.output_tokens)} out`),
    ),
    table({
      caption: "Cost of the run by agent", rows: answer.agents, rowKey: (share) => share.agent ?? "",
      columns: [
        { key: "agent", label: "Agent", head: true, cell: (share) => [swatch(colour(agentHue(share.agent))), " ", h("a", { class: share.agent === null ? "none" : null, href: page.link({ view: "breakdown", filters: { run: [answer.run], agent: [share.agent ?? ""] }, own: { by: "model" } }) }, named(share.agent))] },
        { key: "cost", label: "Cost", align: "end", cell: (share) => shareCost(share, digits) },
        { key: "share", label: "Share", align: "end", cell: (share) => percent(parse(share.cost_usd) === 0n && share.unpriced_calls ? null : share.share) },
        { key: "bar", label: "", class: "kinds", cell: (share) => agentBar([share]) },
      ],
      foot: [{ class: "total", cells: { agent: "Total", cost: costCell(total, digits) } }],
    }),
  ];
}

/** Nothing known of calls that have no price is not a cost of 0. */
function shareCost(share, digits) {
  const known = parse(share.cost_usd);
  return costCell({ calls: share.unpriced_calls + (known === 0n ? 0 : 1), unpriced_calls: share.unpriced_calls, cost_usd: share.cost_usd }, digits);
}

function tracesTable(page, answer) {
  const digits = finePlaces(answer.traces.map((trace) => parse(trace.cost_usd)));
  const chosen = page.own("trace") ?? answer.traces[0].trace_id;
  const more = answer.trace_count - answer.traces.length;
  return h("div", { class: "traces" }, [
    table({
      caption: "Traces of the run", rows: answer.traces, rowKey: (trace) => trace.trace_id, rowClass: (trace) => (trace.trace_id === chosen ? "chosen" : null),
      columns: [
        { key: "trace", label: "Trace", head: true, cell: (trace) => h("a", { href: page.link({ own: { trace: trace.trace_id } }), title: trace.trace_id, "aria-current": trace.trace_id === chosen ? "true" : null }, trace.name ?? runName(trace.trace_id)) },
        { key: "started", label: "Started", cell: (trace) => h("span", { title: instant(trace.started_at, page.zone()) }, moment(trace.started_at, page.zone())) },
        { key: "took", label: "Took", align: "end", cell: (trace) => duration(trace.duration_seconds) },
        { key: "cost", label: "Cost", align: "end", cell: (trace) => costCell({ calls: trace.calls, unpriced_calls: trace.unpriced_calls, cost_usd: trace.cost_usd }, digits) },
        { key: "calls", label: "Calls", align: "end", cell: (trace) => count(trace.calls) },
        { key: "state", label: "", cell: (trace) => (trace.failed ? pill("failed", "bad") : "") },
      ],
    }),
    more > 0 ? h("p", { class: "soft" }, `The ${count(answer.traces.length)} dearest; ${count(more)} more are not listed.`) : null,
  ]);
}

function traceLinks(page) {
  const pattern = page.me.links?.jaeger;
  const trace = page.own("trace") ?? (/^[0-9a-f]{32}$/.test(page.own("id")) ? page.own("id") : null);
  return pattern && trace ? h("a", { class: "button", href: pattern.replace("{trace_id}", trace), rel: "noreferrer" }, "Open in Jaeger") : null;
}

/** Spans by inclusive cost: the root at the top, what a span spent below it. */
function icicle(tree) {
  const spans = tree.spans.filter((span) => parse(span.inclusive_cost_usd));
  if (spans.length === 0) return h("p", { class: "soft" }, "No span of this trace has a cost that is known.");
  const known = new Set(spans.map((span) => span.span_id));
  const roots = spans.filter((span) => !known.has(span.parent_span_id));
  const total = parse(tree.cost_usd);
  const whole = "all";
  const own = (span) => height(parse(span.self_cost_usd) ?? 0n);
  const says = (span) => `${usd(parse(span.inclusive_cost_usd))}, ${percent(ratio(parse(span.inclusive_cost_usd), total))}${span.model ? `, ${span.model}` : ""}`;
  const many = roots.length > 1;
  const fills = (theme) => [...(many ? [theme.line] : []), ...spans.map((span) => colour(agentHue(span.agent)))];
  const data = (theme) => [{
    type: "icicle", leaf: { opacity: 1 }, branchvalues: "remainder", sort: false, tiling: { orientation: "v", pad: 2 }, pathbar: { visible: true, thickness: 22, textfont: { size: 11 } },
    ids: [...(many ? [whole] : []), ...spans.map((span) => span.span_id)],
    labels: [...(many ? ["trace"] : []), ...spans.map((span) => plain(span.name))],
    parents: [...(many ? [""] : []), ...spans.map((span) => (known.has(span.parent_span_id) ? span.parent_span_id : many ? whole : ""))],
    values: [...(many ? [0] : []), ...spans.map(own)],
    customdata: [...(many ? [usd(total)] : []), ...spans.map((span) => plain(says(span)))],
    marker: { colors: fills(theme), line: { width: 0 } },
    texttemplate: "%{label}<br>%{customdata}", hovertemplate: "%{label}<br>%{customdata}<extra></extra>", textfont: { size: 12, color: fills(theme).map(ink) },
  }];
  const layout = () => ({ margin: { l: 0, r: 0, t: 0, b: 0 } });
  const deepest = Math.max(...spans.map((span) => span.depth));
  return chart({ label: `Inclusive cost of the spans of this trace, ${usd(total)} in all; the table below says the same`, height: Math.min(520, 90 + 52 * (deepest + 1)), data, layout });
}

function shownSpans(page) {
  return select({ label: "Show", name: "spans", value: page.own("spans", "model"), options: options([["model", "model calls and agents"], ["all", "all spans"]]), onchange: (value) => page.go({ own: { spans: value === "model" ? null : value } }) });
}

function spanTable(page, tree) {
  const all = page.own("spans") === "all";
  const shown = tree.spans.filter((span) => all || span.kind !== "other" || span.depth === 0 || parse(span.inclusive_cost_usd) || span.unpriced_calls);
  const digits = finePlaces(tree.spans.map((span) => parse(span.self_cost_usd)));
  return [
    table({
      caption: "Spans of the trace as a tree", rows: shown, rowKey: (span) => span.span_id,
      columns: [
        { key: "name", label: "Span", head: true, class: "tree", cell: (span) => name(span) },
        { key: "model", label: "Model", narrow: "hide", cell: (span) => h("span", { title: span.provider }, span.model ?? "") },
        { key: "took", label: "Took", align: "end", narrow: "hide", cell: (span) => duration(span.duration_ns / 1e9) },
        { key: "tokens", label: "Tokens", align: "end", cell: (span) => spanTokens(span) },
        { key: "self", label: "Own cost", align: "end", cell: (span) => ownCost(span, digits) },
        { key: "inclusive", label: "Inclusive", title: "With everything below it", align: "end", cell: (span) => inclusive(span, digits) },
        { key: "state", label: "", cell: (span) => state(span) },
      ],
      foot: [{ class: "total", cells: { name: "Trace", inclusive: [tree.unpriced_calls ? [pill(`+${count(tree.unpriced_calls)}`, "warn", `and ${plural(tree.unpriced_calls, "call")} without a price`), " "] : null, money(parse(tree.cost_usd), digits)] } }],
    }),
    tree.truncated ? h("p", { class: "soft" }, `The first ${count(tree.spans.length)} spans of this trace; it has more.`) : null,
  ];
}

function name(span) {
  const indent = { style: { "padding-left": `${Math.min(span.depth, DEEPEST_INDENT) * INDENT_PX}px` } };
  const kind = span.kind === "agent" ? pill(span.agent ?? "agent") : span.kind === "tool" ? pill("tool") : null;
  if (!span.receipt && !(span.counted && span.cost_reason)) return h("span", { class: "node", ...indent }, span.name, " ", kind);
  return h("details", { class: "node", ...indent }, h("summary", {}, span.name, " ", kind), receipt(span));
}

/** Quantity times rate, line by line: what anybody can check with a pocket calculator. */
function receipt(span) {
  if (!span.receipt) return h("p", { class: "soft" }, span.cost_reason);
  const line = (one) => h("tr", { "data-key": one.unit }, h("th", { scope: "row" }, one.unit.replaceAll("_", " ")), h("td", { class: "end" }, trimmed(one.quantity)), h("td", { class: "end" }, `× ${exact(parse(one.rate_usd))}${one.per === 1 ? "" : ` per ${count(one.per)}`}${trimmed(one.multiplier) === "1" ? "" : ` × ${trimmed(one.multiplier)}`}`), h("td", { class: "end" }, `= ${exact(parse(one.cost_usd))}`));
  return h(
    "div",
    { class: "receipt" },
    h("table", {}, h("caption", { class: "unseen" }, `Receipt of ${span.name}`), h("tbody", {}, span.receipt.lines.map(line)), h("tfoot", {}, h("tr", {}, h("th", { scope: "row", colspan: 3 }, "Cost"), h("td", { class: "end" }, exact(parse(span.self_cost_usd)))))),
    h("p", { class: "soft" }, `${span.cost_status}${span.cost_reason ? `: ${span.cost_reason}` : ""}. Rate ${span.receipt.rate_row} of card ${span.receipt.card}.`),
  );
}

const trimmed = (text) => text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

function spanTokens(span) {
  const { input_tokens: read, output_tokens: written } = span.tokens;
  if (read === undefined && written === undefined) return "";
  const all = Object.entries(span.tokens).map(([unit, quantity]) => `${unit.replaceAll("_", " ")}: ${count(Number(quantity))}`);
  return h("span", { title: all.join("\n"), class: span.counted ? null : "soft" }, short((read ?? 0) + (written ?? 0)));
}

function ownCost(span, digits) {
  if (!span.counted) return "";
  return span.self_cost_usd === null ? pill("unpriced", "warn", span.cost_reason) : money(parse(span.self_cost_usd), digits);
}

function inclusive(span, digits) {
  const known = parse(span.inclusive_cost_usd);
  return span.unpriced_calls && known === 0n ? pill("unpriced", "warn") : money(known, digits);
}

function state(span) {
  const marks = [];
  if (span.failed) marks.push(pill("failed", "bad", span.status_message));
  if (span.attempt > 1) marks.push(pill(`attempt ${span.attempt}`, "warn", "repeats a call that failed"));
  if (span.cost_status && span.counted && !["priced", "unpriced", "free"].includes(span.cost_status)) marks.push(pill(span.cost_status, "", span.cost_reason));
  if (span.wrapper) marks.push(wrapperCheck(span.wrapper));
  else if (span.not_counted_reason) marks.push(pill("not counted", "", UNCOUNTED[span.not_counted_reason] ?? span.not_counted_reason));
  return marks;
}

/** A wrapper repeats what its calls used: whether it says the same. It is never added. */
function wrapperCheck({ tokens, calls_tokens: below }) {
  if (tokens === null || tokens === below) return pill("wrapper ✓", "", `says ${count(tokens)} tokens, as its calls do; it is not counted again`);
  return pill("wrapper ≠", "warn", `says ${count(tokens)} tokens, its calls ${count(below)}; only the calls are counted`);
}
