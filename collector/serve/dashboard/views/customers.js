// Whom the spend is for: customers, projects, teams or features, side by side.
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { missing, nothing } from "../lib/empty.js";
import { count, named, percent, plural } from "../lib/format.js";
import { groupTable, sortOf, WHOLE } from "../lib/groups.js";
import { cost } from "../lib/measures.js";
import { exact, parse, ratio, usd } from "../lib/money.js";
import { stackedOverTime } from "../lib/over_time.js";
import { said } from "../lib/state.js";

const KINDS = ["customer", "project", "team", "feature", "user", "environment"];
const ROWS = 50;
const SERIES = 7;

export function panels(page) {
  const asked = page.own("of", "customer");
  const kind = KINDS.includes(asked) ? asked : "customer";
  const only = (value) => page.link({ filters: { [kind]: [value ?? ""] } });
  const groups = (changes = {}) => page.ask("/breakdown", { by: kind, ...WHOLE, sort: sortOf(page), limit: ROWS, ...changes });
  return [
    { id: "whom", title: "In short", plain: true, shape: "tiles", ask: () => Promise.all([groups(), page.ask("/ticker")]), draw: ([answer, today]) => tiles(kind, answer, today) },
    {
      id: "customers", title: `By ${kind}`, shape: "tall",
      tools: () => select({ label: "For each", name: "of", value: kind, options: options(KINDS.map((one) => [one, said(one)])), onchange: (value) => page.go({ own: { of: value === "customer" ? null : value, sort: null } }) }),
      ask: async () => {
        const answer = await groups();
        return { answer, none: answer.total.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? [isLacking(kind, answer) ? missing(kind) : null, groupTable(page, [kind], answer)],
    },
    {
      id: "customers-time", title: "Spend over time", shape: "tall",
      ask: () => page.ask("/timeseries", { by: kind, limit: SERIES, bucket: "auto" }),
      draw: (answer) => stackedOverTime({ page, answer, by: kind, label: `Spend by ${kind} per ${answer.bucket}`, link: only }),
    },
  ];
}

const isLacking = (kind, answer) => answer.groups === 1 && answer.rows[0]?.key[kind] === null;

function tiles(kind, answer, today) {
  const total = parse(answer.total.cost_usd);
  const nameless = answer.rows.find((row) => row.key[kind] === null);
  const first = answer.rows.find((row) => row.key[kind] !== null && cost(row.measures));
  const known = answer.groups - (nameless ? 1 : 0);
  const part = (row) => (row ? percent(ratio(cost(row.measures), total)) : "–");
  return h("dl", { class: "tiles" }, [
    tile("Spend in this time", usd(total), exact(total), plural(answer.total.calls, "call")),
    tile("Today, of all", usd(cost(today.today)), exact(cost(today.today)), `yesterday in all ${usd(cost(today.yesterday))}`),
    tile(`${kind[0].toUpperCase()}${kind.slice(1)}s with calls`, count(known), null, known ? `on average ${usd(total === null ? null : (total - (cost(nameless?.measures ?? { calls: 0, cost_usd: "0" }) ?? 0n)) / BigInt(known))} each` : `no call says its ${kind}`),
    tile(`Largest ${kind}`, first ? named(first.key[kind]) : "–", null, first ? `${usd(cost(first.measures))}, ${part(first)} of the spend` : "nothing with a price"),
    tile(`Without ${kind === "environment" ? "an" : "a"} ${kind}`, part(nameless), null, nameless ? `${usd(cost(nameless.measures))} cannot be allocated` : `every call says its ${kind}`),
  ]);
}

function tile(label, value, title, note) {
  return h("div", { class: "tile", "data-key": label }, h("dt", {}, label), h("dd", { class: "big", title: title ?? value }, value), h("dd", { class: "note" }, note));
}
