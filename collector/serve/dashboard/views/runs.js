// Runs: what each pipeline execution cost, and one of them in full (`id` in the address).
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { nothing } from "../lib/empty.js";
import { count, duration, instant, named, plural, short } from "../lib/format.js";
import { agentBar, agentHue, runName } from "../lib/agent_parts.js";
import { colour } from "../lib/charts.js";
import { cost, costCell, tokens } from "../lib/measures.js";
import { apportioned, parse, places, usd } from "../lib/money.js";
import { pill, swatch } from "../lib/spark.js";
import { table } from "../lib/table.js";
import { onePanels } from "./run.js";

const PAGE_ROWS = 25;
const TYPING_MS = 250;
let typing = 0;

export function panels(page) {
  const run = page.own("id");
  return run === null ? [distribution(page), list(page)] : onePanels(page, run);
}

function question(page) {
  return { sort: page.own("sort") === "time" ? "time" : "cost", search: page.own("search"), offset: Number(page.own("offset", "0")) || null, limit: PAGE_ROWS };
}

/** What a run usually costs. */
function distribution(page) {
  return {
    id: "usual", title: "Cost of a run", shape: "tiles", plain: true,
    ask: () => page.ask("/runs", page.own("search") ? { limit: 1 } : question(page)), // as the list, which is asked anyway, unless it is of some runs only
    draw: ({ groups, percentiles, total }) => {
      const amounts = [percentiles.p50_usd, percentiles.p95_usd, percentiles.max_usd].map(parse);
      const tile = (name, value, note) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: "big" }, value), h("dd", { class: "note" }, note));
      return h(
        "dl",
        { class: "tiles" },
        tile("Runs", count(groups), `${plural(total.calls, "call")} in them`),
        tile("Median", usd(amounts[0]), "half of them cost at most this"),
        tile("95th percentile", usd(amounts[1]), "19 of 20 cost at most this"),
        tile("Dearest", usd(amounts[2]), amounts[0] && amounts[2] !== null ? `${count(Number(amounts[2] / amounts[0]))} times the median` : ""),
        tile("Retries", usd(parse(total.retry_cost_usd)), `${plural(total.retries, "repeated call")}; ${usd(parse(total.wasted_cost_usd))} bought nothing`),
      );
    },
  };
}

function list(page) {
  return {
    id: "runs", title: "Runs", shape: "list",
    tools: () => [
      select({ label: "Sort", name: "sort", value: question(page).sort, options: options([["cost", "by cost"], ["time", "newest first"]]), onchange: (value) => page.go({ own: { sort: value === "cost" ? null : value, offset: null } }) }),
      h("input", { type: "search", name: "search", value: page.own("search", ""), placeholder: "Find a run", "aria-label": "Find a run", oninput: (event) => find(page, event.target.value) }),
    ],
    ask: async () => {
      const answer = await page.ask("/runs", question(page));
      return { answer, none: answer.groups === 0 && !page.own("search") ? await nothing(page) : null };
    },
    draw: ({ answer, none }) => none ?? [legend(answer), runsTable(page, answer), pager(page, answer)],
  };
}

function find(page, text) {
  clearTimeout(typing);
  typing = setTimeout(() => page.go({ own: { search: text.trim() || null, offset: null } }, { replace: true }), TYPING_MS);
}

/** The agents of the runs that are shown, in the colours of their bars. */
function legend(answer) {
  const agents = [...new Set(answer.runs.flatMap((run) => run.agents.map((share) => share.agent)))].slice(0, 8);
  return h("ul", { class: "legend" }, agents.map((agent) => h("li", {}, swatch(colour(agentHue(agent))), named(agent))));
}

function runsTable(page, answer) {
  const total = parse(answer.total.cost_usd);
  const measured = [...answer.runs.map((run) => run.measures), ...(answer.other ? [answer.other] : [])];
  const digits = Math.max(4, places(measured.map(cost)));
  const shown = apportioned(measured.map(cost), total, digits);
  const rest = answer.groups - answer.runs.length;
  const foot = answer.other ? [{ class: "other", cells: { run: `Other (${plural(rest, "run")})`, cost: costCell(answer.other, digits, shown.at(-1)), calls: count(answer.other.calls), tokens: short(tokens(answer.other)) } }] : [];
  return table({
    caption: "Runs with what they cost", rows: answer.runs, rowKey: (run) => run.run,
    foot: [...foot, { class: "total", cells: { run: "Total", cost: costCell(answer.total, digits), calls: count(answer.total.calls), tokens: short(tokens(answer.total)) } }],
    columns: [
      { key: "run", label: "Run", head: true, cell: (run) => [h("a", { href: page.link({ own: { id: run.run, offset: null, search: null, sort: null } }), title: run.run }, runName(run.run)), " ", state(run)] },
      { key: "cost", label: "Cost", align: "end", cell: (run, at) => costCell(run.measures, digits, shown[at]) },
      { key: "started", label: "Started", narrow: "hide", cell: (run) => instant(run.started_at, page.zone()) },
      { key: "took", label: "Took", align: "end", narrow: "hide", cell: (run) => duration(run.duration_seconds) },
      { key: "agents", label: "By agent", class: "kinds", narrow: "hide", cell: (run) => agentBar(run.agents) },
      { key: "calls", label: "Calls", align: "end", cell: (run) => count(run.measures.calls) },
      { key: "tokens", label: "Tokens", align: "end", cell: (run) => short(tokens(run.measures)) },
      { key: "retries", label: "Retries", title: "Repeated calls, and what they cost", align: "end", cell: (run) => (run.measures.retries ? h("span", { title: `${usd(parse(run.measures.retry_cost_usd))} on retries` }, count(run.measures.retries)) : "") },
      { key: "models", label: "Models", class: "cut", narrow: "hide", cell: (run) => h("span", { class: "soft", title: run.models.join("\n") }, run.models.join(", ")) },
    ],
  });
}

function state(run) {
  if (run.failed) return pill("failed", "bad", "its root span ended with an error");
  return run.measures.failed_calls ? pill(plural(run.measures.failed_calls, "error"), "warn") : null;
}

function pager(page, answer) {
  const offset = question(page).offset ?? 0;
  const last = Math.min(offset + PAGE_ROWS, answer.groups);
  const to = (label, at, possible) => (possible ? h("a", { class: "button", href: page.link({ own: { offset: at > 0 ? String(at) : null } }) }, label) : h("span", { class: "button", "aria-disabled": "true" }, label));
  return h("div", { class: "pages" }, `${range(offset, last)} of ${count(answer.groups)}`, to("Previous", offset - PAGE_ROWS, offset > 0), to("Next", offset + PAGE_ROWS, last < answer.groups));
}

const range = (offset, last) => `${count(Math.min(offset + 1, last))} to ${count(last)}`;
