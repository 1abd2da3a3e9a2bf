// What the same calls would have cost on other models: a range where tokens are counted otherwise, the cheapest marked.
import { get, pairs } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { nothing } from "../lib/empty.js";
import { count, named, percent, plural } from "../lib/format.js";
import { apportioned, exact, parse, places, ratio, usd } from "../lib/money.js";
import { bar, pill } from "../lib/spark.js";
import { heading, said, selection } from "../lib/state.js";
import { money, table } from "../lib/table.js";

const FEW = 10_000; // calls that are priced at once: a second or so goes into each hundred thousand
const MANY = 100_000; // on demand, where there are more than can all be priced: the differences hardly move any more
const ALL = 300_000; // as many can all be priced
const ROWS = 50;
const MOST_ROWS = 500;
const SETTING = 16; // characters of how a score was measured; all of it is in the title
const KINDS = ["agent", "feature", "model", "customer", "team"];

export function panels(page) {
  const by = KINDS.includes(page.own("by")) ? page.own("by") : "agent";
  const models = page.own("models");
  const most = [String(MANY), String(ALL)].find((one) => one === page.own("most")) ?? FEW;
  const limit = page.own("rows") === "all" ? MOST_ROWS : ROWS;
  const scored = { benchmark: page.own("benchmark"), min_score: page.own("benchmark") && page.own("min_score") };
  const compared = () => get("/compare", [...selection(page.state), ...pairs({ by, limit, models, most, ...scored })]);
  return [
    {
      id: "compared", title: "The same calls on other models", shape: "list",
      tools: () => form(page, models),
      ask: async () => {
        const answer = await compared();
        return { answer, none: answer.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? [scoreForm(page, answer), part(page, answer), grid(answer), scoreNote(answer), notes(answer)],
      still: true,
    },
    {
      id: "compared-by", title: `For each ${by}`, shape: "list", still: true,
      tools: () => select({ label: "For each", name: "by", value: by, options: options(KINDS.map((one) => [one, said(one)])), onchange: (value) => page.go({ own: { by: value === "agent" ? null : value } }) }),
      ask: compared,
      draw: (answer) => [part(page, answer), byGroup(page, by, answer)],
    },
  ];
}

function form(page, models) {
  const field = h("input", { type: "search", name: "models", value: models ?? "", placeholder: "gpt-5-mini, claude-haiku-4-5", "aria-label": "Models to compare with", autocomplete: "off", spellcheck: "false" });
  const send = (event) => {
    event.preventDefault();
    page.go({ own: { models: event.target.elements.models.value.trim() || null } });
  };
  return h("form", { class: "row", onsubmit: send }, field, h("button", {}, "Compare"));
}

/** Only models that score enough in a benchmark: which one, and how much. */
function scoreForm(page, { benchmark, benchmarks }) {
  const least = h("input", { type: "number", name: "min_score", min: 0, max: 100, step: "any", value: benchmark?.min_score ?? "", placeholder: "any", "aria-label": "Least score in per cent" });
  const send = (event) => {
    event.preventDefault();
    const { benchmark: name, min_score: score } = event.target.elements;
    page.go({ own: { benchmark: name.value || null, min_score: (name.value && score.value) || null } });
  };
  const names = options([["", "any benchmark"], ...benchmarks.map((name) => [name, name])]);
  const pick = select({ label: "Models that score in", name: "benchmark", value: benchmark?.name ?? "", options: names, onchange: () => {} });
  return h("form", { class: "tools scored", onsubmit: send }, pick, h("label", {}, "at least ", least, " %"), h("button", {}, "Filter"));
}

/** Models that were left out, by name, and what the scores are. */
function scoreNote({ benchmark }) {
  if (!benchmark) return null;
  const { name, min_score: least, left_out: left } = benchmark;
  const below = left.filter((one) => one.score).map((one) => `${one.model} (${one.score.score})`);
  const unknown = left.filter((one) => !one.score).map((one) => one.model);
  const listed = (names) => (names.length ? `: ${names.join(", ")}` : "");
  return [
    h("p", { class: "soft" }, `${name}: what providers say of their own models, with their settings; the lowest of several.`),
    least === null ? null : h("p", {}, `Left out: ${plural(below.length, "model")} below ${least} %${listed(below)}; ${plural(unknown.length, "model")} of unknown score, which is never enough${listed(unknown)}.`),
  ];
}

/** Where not every call is priced: of which the figures are, and the way to more of them. */
function part(page, answer) {
  if (answer.every === 1) return null;
  const more = answer.calls > ALL ? MANY : ALL;
  const label = more === ALL ? "Price all of them" : `Price ${count(MANY)} of them`;
  const link = Math.ceil(answer.calls / more) < answer.every ? h("a", { href: page.link({ own: { most: String(more) } }) }, label) : null;
  return h("p", { class: "soft" }, `One call in ${count(answer.every)} is priced: these figures are of ${count(answer.total.calls)} of the ${plural(answer.calls, "call")} in this time. `, link);
}

/** An amount as it may be: one, or the two ends of a range. */
function range(low, high, digits) {
  const [least, most] = [parse(low), parse(high)];
  if (least === null) return pill("no price", "warn");
  return least === most ? money(least, digits) : h("span", { class: "money", title: `${exact(least)} to ${exact(most)}` }, `${usd(least, digits)} to ${usd(most, digits)}`);
}

const middle = (model) => (model.low_usd === null ? null : (parse(model.low_usd) + parse(model.high_usd)) / 2n);

function grid(answer) {
  const spent = parse(answer.total.cost_usd);
  const { models } = answer.total;
  const digits = places([spent, ...models.map(middle)]);
  const most = [spent, ...models.map((model) => parse(model.high_usd))].reduce((top, amount) => (amount !== null && amount > top ? amount : top), 1n);
  const scores = new Map(answer.models.map((model) => [`${model.provider}/${model.model}`, model.score]));
  const scored = answer.benchmark ? [{ key: "score", label: answer.benchmark.name, align: "end", cell: (row) => (isPast(row) ? "" : scoreCell(scores.get(`${row.provider}/${row.model}`))) }] : [];
  const rows = [{ as: "was", cost: spent }, ...[...models].sort((a, b) => compareAmounts(middle(a), middle(b)))];
  const isPast = (row) => row.as === "was";
  const length = (row) => (isPast(row) ? [{ ratio: ratio(spent, most) }] : [{ ratio: ratio(parse(row.low_usd) ?? 0n, most) }, { ratio: ratio((parse(row.high_usd) ?? 0n) - (parse(row.low_usd) ?? 0n), most), class: "bar-range" }]);
  return table({
    caption: "Cost of the same calls by model", rows, rowKey: (row) => (isPast(row) ? "was" : `${row.provider}/${row.model}`),
    columns: [
      { key: "model", label: "Model", head: true, cell: (row) => (isPast(row) ? h("b", {}, "As they were made") : [row.model, " ", h("span", { class: "soft" }, row.provider)]) },
      { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row) => (isPast(row) ? money(spent, digits) : range(row.low_usd, row.high_usd, digits)) },
      { key: "mark", label: "", cell: (row) => (row.cheapest ? pill(answer.total.cheapest_is_certain ? "cheapest" : "cheapest, within its range", isSaving(row, spent) ? "good" : "") : "") },
      { key: "bar", label: "", class: "mix", cell: (row) => bar(length(row)) },
      { key: "saving", label: "Difference", align: "end", cell: (row) => (isPast(row) ? "" : difference(row, spent)) },
      ...scored,
      { key: "what", label: "Not the same", cell: (row) => (isPast(row) ? "" : h("span", { class: "soft" }, caveats(row))) },
    ],
  });
}

function scoreCell(score) {
  if (!score) return h("span", { class: "soft" }, "unknown");
  const [setting, day] = [score.setting, score.date];
  const said = [setting.length > SETTING ? `${setting.slice(0, SETTING)}…` : setting, day].filter(Boolean).join(", ");
  return h("span", { title: [setting, day, score.source].filter(Boolean).join("\n") }, `${score.score} %`, said ? [h("br"), h("span", { class: "soft" }, said)] : null);
}

const compareAmounts = (a, b) => (a === null ? 1 : b === null ? -1 : a < b ? -1 : a > b ? 1 : 0);

function difference(model, spent) {
  if (model.difference_low_usd === null) return h("span", { class: "soft", title: "not all of the calls have a price there" }, "–");
  const ends = [parse(model.difference_low_usd), parse(model.difference_high_usd)].map((amount) => ratio(amount, spent));
  const shown = ends.map((part) => (part === null ? "–" : `${part > 0 ? "+" : part < 0 ? "−" : ""}${percent(Math.abs(part))}`));
  return h("span", { class: ends[1] < 0 && !model.too_long_calls ? "down" : ends[0] > 0 ? "up" : "soft" }, shown[0] === shown[1] ? shown[0] : `${shown[0]} to ${shown[1]}`);
}

function caveats(model) {
  const told = [];
  if (model.too_long_calls) told.push(`${plural(model.too_long_calls, "call does", "calls do")} not fit its context window`);
  if (model.unpriced_calls) told.push(`${plural(model.unpriced_calls, "call")} without a price`);
  if (model.partial_calls) told.push(`${plural(model.partial_calls, "call")} priced in part`);
  if (model.billed_as_parent_calls) told.push(`${plural(model.billed_as_parent_calls, "call loses", "calls lose")} a cheaper rate, such as cached input`);
  if (model.variant_not_priced_calls) told.push(`${plural(model.variant_not_priced_calls, "call")} at the standard tier`);
  return told.join("; ");
}

function notes(answer) {
  const left = (answer.left_out ?? []).map((one) => `${plural(one.calls, "call")} left out: ${one.reason}`);
  return h("p", { class: "soft" }, "Prices of each call’s own day, with the other model’s tiers and caches. A range is what another way of counting tokens can make of the same text; answers of another length or quality are not foreseen. ", left.join("; "));
}

function byGroup(page, by, answer) {
  const { groups, other, total } = answer;
  if (!groups.length) return h("p", { class: "soft" }, "Nothing to compare in this time.");
  const spent = parse(total.cost_usd);
  const digits = places([spent]);
  const shown = apportioned([...groups, ...(other ? [other] : [])].map((one) => parse(one.cost_usd)), spent, digits);
  const paid = (one, at) => money(parse(one.cost_usd), digits, { shown: shown[at] });
  const rest = other && groups.length < MOST_ROWS ? h("div", { class: "pages" }, `${count(groups.length)} of ${count(groups.length + other.groups)}`, h("a", { class: "button", href: page.link({ own: { rows: "all" } }) }, other.groups + groups.length > MOST_ROWS ? count(MOST_ROWS) : "All")) : null;
  const column = (model, at) => ({ key: `m${at}`, label: model.model, align: "end", cell: (group) => cellOf(group.models[at], group.cost_usd, digits) });
  const footed = (one, name, at) => ({ name, calls: count(one.calls), cost: paid(one, at), ...Object.fromEntries(one.models.map((model, index) => [`m${index}`, cellOf(model, one.cost_usd, digits)])) });
  return [table({
    caption: `Cost on other models for each ${by}`, rows: groups, rowKey: (group) => group.value ?? "",
    columns: [
      { key: "name", label: heading(by), head: true, cell: (group) => h("a", { class: group.value === null ? "none" : null, href: page.link({ view: "breakdown", filters: { [by]: [group.value ?? ""] }, own: { by: ["model"] } }) }, named(group.value)) },
      { key: "calls", label: "Calls", class: "calls", align: "end", cell: (group) => count(group.calls) },
      { key: "cost", label: "As made", class: "cost", align: "end", cell: paid },
      ...total.models.map(column),
    ],
    foot: [...(other ? [{ class: "other", cells: footed(other, `Other (${plural(other.groups, "group")})`, groups.length) }] : []), { class: "total", cells: footed(total, "Total", -1) }],
  }), rest];
}

/** Green is only what is below what was paid with all of its range. */
const isSaving = (model, paid) => model.high_usd !== null && parse(model.high_usd) < paid;

function cellOf(model, paid, digits) {
  const amount = range(model.low_usd, model.high_usd, digits);
  return model.cheapest ? h("b", { class: isSaving(model, parse(paid)) ? "down" : null, title: "the cheapest here" }, amount, h("span", { class: "unseen" }, " (cheapest)")) : amount;
}
