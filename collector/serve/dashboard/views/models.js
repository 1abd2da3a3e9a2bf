// Models: their days, what kinds of calls cost, their tokens, and what the same work would cost elsewhere.
import { chart, colour, plain } from "../lib/charts.js";
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { nothing } from "../lib/empty.js";
import { count, named, percent, plural, short } from "../lib/format.js";
import { cost, costCell, each, tokens } from "../lib/measures.js";
import { apportioned, finePlaces, height, parse, places, ratio, sum, usd } from "../lib/money.js";
import { linesOverTime } from "../lib/over_time.js";
import { bar, swatch } from "../lib/spark.js";
import { money, table } from "../lib/table.js";

const LINES = 6;
const MODELS = 25;
const CLASSES = [["over $5 per million tokens", 5_000_000_000_000n], ["$1 to $5", 1_000_000_000_000n], ["$0.25 to $1", 250_000_000_000n], ["under $0.25", 0n]];
const KINDS = [
  { key: "input", label: "Input", hue: 0, of: (m) => less(less(m.input_tokens, m.cache_read_tokens), m.cache_write_tokens) },
  { key: "read", label: "Cache read", hue: 4, of: (m) => m.cache_read_tokens },
  { key: "write", label: "Cache write", hue: 6, of: (m) => m.cache_write_tokens },
  { key: "output", label: "Output", hue: 1, of: (m) => less(m.output_tokens, m.reasoning_tokens) },
  { key: "reasoning", label: "Reasoning", hue: 5, of: (m) => m.reasoning_tokens },
];
const less = (all, part) => (all === null || all === undefined ? null : Math.max(0, all - (part ?? 0)));

export function panels(page) {
  const group = page.own("category", "class");
  const models = () => page.ask("/models", { limit: MODELS, executions: "true" });
  return [
    {
      id: "lines", title: "Cost per day, the largest models", shape: "tall", size: "two-thirds",
      ask: async () => ({ answer: await page.ask("/timeseries", { by: "model", bucket: "day", limit: LINES }) }),
      draw: ({ answer }) => linesOverTime({ answer, by: "model", label: "Cost per day of the largest models", link: (value) => page.link({ filters: { model: [value ?? ""] } }) }),
    },
    {
      id: "category", title: "By category", shape: "tall", size: "third",
      tools: () => select({ label: "Of", name: "category", value: group, options: options([["class", "price class"], ["operation", "operation"], ["provider", "provider"]]), onchange: (value) => page.go({ own: { category: value === "class" ? null : value } }) }),
      ask: () => (group === "class" ? models() : page.ask("/breakdown", { by: group, limit: 6 })),
      draw: (answer) => pie(group === "class" ? priceClasses(answer) : slices(answer, group)),
    },
    {
      id: "models", title: "Models", shape: "list",
      ask: async () => {
        const answer = await models();
        return { answer, none: answer.total.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? modelTable(page, answer),
    },
    { id: "what-if", title: "What if", still: true, ask: models, draw: (answer) => whatIf(page, answer) },
  ];
}

/** Models by what a million of their tokens cost here, input and output together. */
function priceClasses(answer) {
  const classes = CLASSES.map(([name]) => ({ name, amounts: [], models: 0 }));
  const unknown = { name: "tokens unknown", amounts: [], models: 0 };
  for (const { measures } of answer.rows) {
    const [known, used] = [cost(measures), tokens(measures)];
    if (known === null) continue;
    const each = used ? (known * 1_000_000n) / BigInt(used) : null;
    const into = each === null ? unknown : classes[CLASSES.findIndex(([, least]) => each >= least)];
    into.amounts.push(known);
    into.models += 1;
  }
  const rest = answer.other ? [{ name: `other ${plural(answer.other.groups, "model")}`, amounts: [cost(answer.other.measures) ?? 0n], models: answer.other.groups }] : [];
  return [...classes, unknown, ...rest].filter((one) => one.models).map((one, at) => ({ name: one.name, amount: sum(one.amounts) ?? 0n, note: plural(one.models, "model"), hue: one === unknown || rest.includes(one) ? null : at }));
}

function slices(answer, by) {
  const rest = answer.other ? [{ name: "other", amount: cost(answer.other.measures) ?? 0n, note: plural(answer.other.measures.calls, "call"), hue: null }] : [];
  return [...answer.rows.map((row, at) => ({ name: named(row.key[by]), amount: cost(row.measures) ?? 0n, note: plural(row.measures.calls, "call"), hue: at })), ...rest];
}

function pie(parts) {
  const total = sum(parts.map((part) => part.amount)) ?? 0n;
  if (total === 0n) return h("p", { class: "soft" }, "Nothing with a price in this time.");
  const digits = places([total]);
  const shown = apportioned(parts.map((part) => part.amount), total, digits);
  const share = (part) => percent(ratio(part.amount, total));
  const data = (theme) => [{
    type: "pie", hole: 0.62, sort: false, direction: "clockwise", labels: parts.map((part) => plain(part.name)), values: parts.map((part) => height(part.amount)),
    marker: { colors: parts.map((part) => colour(part.hue)), line: { color: theme.panel, width: 2 } }, textinfo: "none",
    customdata: parts.map((part) => `${usd(part.amount, digits)}, ${share(part)}`), hovertemplate: "%{label}<br>%{customdata}<extra></extra>",
  }];
  const layout = (theme) => ({ margin: { l: 8, r: 8, t: 8, b: 8 }, annotations: [{ text: usd(total, digits), showarrow: false, font: { size: 16, weight: 650, color: theme.text } }] });
  const rows = table({
    caption: "Cost by category", rows: parts.map((part, at) => ({ ...part, shown: shown[at] })),
    columns: [
      { key: "name", label: "Category", head: true, cell: (part) => h("span", { title: part.note }, swatch(colour(part.hue)), " ", part.name) },
      { key: "cost", label: "Cost", class: "cost", align: "end", cell: (part) => money(part.amount, digits, { shown: part.shown }) },
      { key: "share", label: "Share", align: "end", cell: share },
    ],
  });
  return [chart({ label: `Cost by category: ${parts.map((part) => `${part.name} ${share(part)}`).join(", ")}`, height: 196, data, layout }), rows];
}

function modelTable(page, answer) {
  const total = parse(answer.total.cost_usd);
  const measured = [...answer.rows.map((row) => row.measures), ...(answer.other ? [answer.other.measures] : [])];
  const digits = places([total]);
  const shown = apportioned(measured.map(cost), total, digits);
  const fine = finePlaces(measured.map((one) => each(one, "cost_per_call_usd")));
  const most = Math.max(1, ...answer.rows.map((row) => tokens(row.measures) ?? 0));
  const name = (row) => h("a", { class: row.key.model === null ? "none" : null, href: page.link({ filters: { model: [row.key.model ?? ""], provider: [row.key.provider ?? ""] } }) }, named(row.key.model));
  const foot = answer.other ? [{ class: "other", cells: { name: `Other (${plural(answer.other.groups, "model")})`, cost: costCell(answer.other.measures, digits, shown.at(-1)), tokens: short(tokens(answer.other.measures)), calls: count(answer.other.measures.calls) } }] : [];
  return [
    h("ul", { class: "legend" }, KINDS.map((kind) => h("li", {}, swatch(colour(kind.hue)), kind.label))),
    table({
      caption: "Models with their tokens", rows: answer.rows, rowKey: (row) => JSON.stringify([row.key.provider, row.key.model]),
      foot: [...foot, { class: "total", cells: { name: "Total", cost: costCell(answer.total, digits), tokens: short(tokens(answer.total)), calls: count(answer.total.calls) } }],
      columns: [
        { key: "name", label: "Model", head: true, cell: name },
        { key: "provider", label: "Provider", narrow: "hide", cell: (row) => h("span", { class: "soft" }, named(row.key.provider)) },
        { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row, at) => costCell(row.measures, digits, shown[at]) },
        { key: "share", label: "Share", align: "end", cell: (row) => percent(ratio(cost(row.measures), total)) },
        { key: "calls", label: "Calls", class: "calls", align: "end", cell: (row) => count(row.measures.calls) },
        { key: "each", label: "$ / call", align: "end", cell: (row) => money(each(row.measures, "cost_per_call_usd"), fine) },
        { key: "million", label: "$ / 1M tokens", title: "What a million tokens cost here, input and output together", align: "end", cell: (row) => money(perMillion(row.measures), 2) },
        { key: "tokens", label: "Tokens", align: "end", cell: (row) => short(tokens(row.measures)) },
        { key: "kinds", label: "By kind", class: "kinds", cell: (row) => kinds(row.measures, most) },
        { key: "cache", label: "Cache hits", align: "end", cell: (row) => percent(row.measures.cache_hit_ratio) },
        { key: "errors", label: "Errors", align: "end", cell: (row) => percent(row.measures.error_ratio) },
      ],
    }),
  ];
}

function perMillion(measures) {
  const [known, used] = [cost(measures), tokens(measures)];
  return known === null || !used ? null : (known * 1_000_000n) / BigInt(used);
}

function kinds(measures, most) {
  const parts = KINDS.map((kind) => ({ ...kind, quantity: kind.of(measures) ?? 0 })).filter((kind) => kind.quantity);
  return bar(parts.map((kind) => ({ ratio: kind.quantity / most, fill: colour(kind.hue), label: `${kind.label}: ${count(kind.quantity)}` })), { label: parts.map((kind) => `${kind.label} ${short(kind.quantity)}`).join(", ") || "no tokens known" });
}

/** The first model that is worth a comparison: the one that costs most. */
function whatIf(page, answer) {
  const first = answer.rows.find((row) => row.key.model !== null && cost(row.measures));
  if (!first) return h("p", { class: "soft" }, "There is no spend to compare yet.");
  const name = first.key.model;
  return h(
    "p",
    {},
    h("b", {}, name), ` costs the most here: ${usd(cost(first.measures))}, ${percent(ratio(cost(first.measures), parse(answer.total.cost_usd)))} of the spend. `,
    "The same calls can be priced on other models, with the cheapest marked: ",
    h("a", { href: page.link({ view: "what-if", own: { by: "model" } }) }, "compare"), ".",
  );
}
