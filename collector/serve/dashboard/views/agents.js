// Agents: what each costs, per execution and per useful output, which way it goes, and which models it uses.
import { colour, hue } from "../lib/charts.js";
import { h } from "../lib/dom.js";
import { missing, nothing } from "../lib/empty.js";
import { named, percent } from "../lib/format.js";
import { groupTable, sortOf, WHOLE } from "../lib/groups.js";
import { cost } from "../lib/measures.js";
import { apportioned, parse, places, ratio, sum } from "../lib/money.js";
import { stackedOverTime } from "../lib/over_time.js";
import { bar, swatch } from "../lib/spark.js";
import { money, table } from "../lib/table.js";

const AGENTS = 50;
const SERIES = 7;
const PAIRS = 200;

export function panels(page) {
  const only = (value) => page.link({ filters: { agent: [value ?? ""] } });
  return [
    {
      id: "agents", title: "Agents", shape: "tall",
      ask: async () => {
        const answer = await page.ask("/agents", { ...WHOLE, sort: sortOf(page), limit: AGENTS });
        return { answer, none: answer.total.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? [isLacking(answer) ? missing("agent") : null, groupTable(page, ["agent"], answer)],
    },
    {
      id: "agents-time", title: "Spend over time", shape: "tall", size: "half",
      ask: () => page.ask("/timeseries", { by: "agent", limit: SERIES, bucket: "auto" }),
      draw: (answer) => stackedOverTime({ page, answer, by: "agent", label: `Spend by agent per ${answer.bucket}`, link: only }),
    },
    {
      id: "agents-models", title: "Models of each agent", shape: "tall", size: "half",
      ask: () => page.ask("/breakdown", { by: ["agent", "model"], limit: PAIRS }),
      draw: (answer) => mixes(answer, only),
    },
  ];
}

const isLacking = (answer) => answer.groups === 1 && answer.rows[0]?.key.agent === null;

function mixes(answer, only) {
  const agents = new Map();
  for (const { key, measures } of answer.rows) {
    if (!agents.has(key.agent)) agents.set(key.agent, []);
    agents.get(key.agent).push({ model: key.model, cost: cost(measures) });
  }
  const rows = [...agents].map(([agent, parts]) => ({ agent, parts, total: parts.reduce((all, part) => all + (part.cost ?? 0n), 0n) })).filter((row) => row.total > 0n).sort((a, b) => (a.total < b.total ? 1 : -1));
  if (!rows.length) return h("p", { class: "soft" }, "Nothing with a price in this time.");
  const shown = apportioned(rows.map((row) => row.total), sum(rows.map((row) => row.total)), places([parse(answer.total.cost_usd)])); // as in the table of agents
  const models = [...new Set(answer.rows.filter((row) => cost(row.measures)).map((row) => row.key.model))];
  const digits = places([parse(answer.total.cost_usd)]);
  const mix = (row) => row.parts.filter((part) => part.cost).map((part) => ({ ratio: ratio(part.cost, row.total), fill: colour(hue("model", part.model)), label: `${named(part.model)}: ${percent(ratio(part.cost, row.total))}` }));
  return [
    h("ul", { class: "legend" }, models.slice(0, 8).map((model) => h("li", {}, swatch(colour(hue("model", model))), named(model)))),
    table({
      caption: "Models of each agent by cost", rows, rowKey: (row) => row.agent ?? "",
      columns: [
        { key: "agent", label: "Agent", head: true, cell: (row) => h("a", { class: row.agent === null ? "none" : null, href: only(row.agent) }, named(row.agent)) },
        { key: "mix", label: "Models, by cost", class: "mix", cell: (row) => bar(mix(row), { label: mix(row).map((part) => part.label).join(", ") }) },
        { key: "main", label: "Most on", cell: (row) => h("span", { class: "soft" }, `${named(row.parts[0].model)} ${percent(ratio(row.parts[0].cost, row.total))}`) },
        { key: "cost", label: "Cost", class: "cost", align: "end", cell: (row, at) => money(row.total, digits, { shown: shown[at] }) },
      ],
    }),
  ];
}
