// Whom the spend is for: customers, projects, teams or features, side by side.
import { address } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { options, select } from "../lib/dimension.js";
import { missing, nothing } from "../lib/empty.js";
import { count, instant, named, percent, plural } from "../lib/format.js";
import { groupTable, sortOf, WHOLE } from "../lib/groups.js";
import { cost } from "../lib/measures.js";
import { exact, parse, places, ratio, usd } from "../lib/money.js";
import { stackedOverTime } from "../lib/over_time.js";
import { said } from "../lib/state.js";
import { money } from "../lib/table.js";

const KINDS = ["customer", "project", "team", "feature", "user", "environment"];
const ROWS = 50;
const FILE_ROWS = 1000;
const SERIES = 7;

export function panels(page) {
  const asked = page.own("of", "customer");
  const kind = KINDS.includes(asked) ? asked : "customer";
  const only = (value) => page.link({ filters: { [kind]: [value ?? ""] } });
  const file = kind === "customer" ? "/export/customers.csv" : "/export/breakdown.csv";
  const order = { by: kind === "customer" ? null : kind, sort: sortOf(page, kind === "customer" ? ["margin"] : []) };
  const groups = () => kind === "customer"
    ? page.ask("/customers", { ...WHOLE, ...order, limit: ROWS })
    : page.ask("/breakdown", { ...WHOLE, ...order, limit: ROWS });
  return [
    { id: "whom", title: "In short", plain: true, shape: "tiles", ask: () => Promise.all([groups(), page.ask("/ticker")]), draw: ([answer, today]) => tiles(kind, answer, today) },
    {
      id: "customers", title: `By ${kind}`, shape: "tall",
      tools: () => [
        select({ label: "For each", name: "of", value: kind, options: options(KINDS.map((one) => [one, said(one)])), onchange: (value) => page.go({ own: { of: value === "customer" ? null : value, sort: null } }) }),
        h("a", { class: "button", href: address(file, page.params({ ...order, limit: FILE_ROWS })), download: "" }, "CSV"),
      ],
      ask: async () => {
        const answer = await groups();
        return { answer, none: answer.total.calls === 0 ? await nothing(page) : null };
      },
      draw: ({ answer, none }) => none ?? [isLacking(kind, answer) ? missing(kind) : null, groupTable(page, [kind], answer, answer.revenue ? { more: margins(answer) } : {}), kind === "customer" ? revenueNote(page, answer.revenue) : null],
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
  const share = (row) => (row ? percent(ratio(cost(row.measures), total)) : "–");
  return h("dl", { class: "tiles" }, [
    tile("Spend in this time", usd(total), exact(total), plural(answer.total.calls, "call")),
    tile("Today, of all", usd(cost(today.today)), exact(cost(today.today)), `yesterday in all ${usd(cost(today.yesterday))}`),
    tile(`${kind[0].toUpperCase()}${kind.slice(1)}s with calls`, count(known), null, known ? `on average ${usd(total === null ? null : (total - (cost(nameless?.measures ?? { calls: 0, cost_usd: "0" }) ?? 0n)) / BigInt(known))} each` : `no call says its ${kind}`),
    answer.revenue?.customers ? marginTile(answer) : null,
    tile(`Largest ${kind}`, first ? named(first.key[kind]) : "–", null, first ? `${usd(cost(first.measures))}, ${share(first)} of the spend` : "nothing with a price"),
    tile(`Without ${kind === "environment" ? "an" : "a"} ${kind}`, share(nameless), null, nameless ? `${usd(cost(nameless.measures))} cannot be allocated` : `every call says its ${kind}`),
  ]);
}

function marginTile({ revenue, rows }) {
  const losing = rows.filter((row) => isLoss(row)).length;
  return tile("Margin", usd(parse(revenue.margin_usd)), exact(parse(revenue.margin_usd)), `${part(revenue)} of ${usd(parse(revenue.revenue_usd))} from ${plural(revenue.customers, "customer")}${losing ? `; ${count(losing)} cost more than they pay` : ""}`);
}

/** What customers pay beside what they cost, and a row of those of whom both are known. */
function margins({ revenue, rows }) {
  const digits = places(rows.map((row) => parse(row.revenue_usd)));
  const left = (row) => [row.measures?.unpriced_calls || row.unpriced_calls ? h("span", { class: "soft", title: "some calls have no price" }, "≤ ") : null, money(parse(row.margin_usd), digits)];
  const shown = (row, cells) => h("span", { class: isLoss(row) ? "bad" : null }, cells);
  const unknown = (row) => h("span", { class: "soft", title: row.revenue_usd === null ? "extensions.api.revenue does not name this customer" : "no call has a price" }, "–");
  const cell = (row, cells) => (row.margin_usd === null ? unknown(row) : shown(row, cells));
  return {
    columns: [
      { key: "revenue", label: "Revenue", title: "Of this time: each month by the part of it that is in here", align: "end", cell: (row) => (row.revenue_usd === null ? unknown(row) : money(parse(row.revenue_usd), digits)) },
      { key: "margin", label: "Margin", title: "Revenue less cost", align: "end", sort: "margin", cell: (row) => cell(row, left(row)) },
      { key: "margin_pct", label: "Margin %", title: "Of the revenue", align: "end", cell: (row) => cell(row, part(row)) },
    ],
    foot: (costDigits) => (revenue.customers ? [{ class: "known", cells: { name: `Of these, with revenue (${count(revenue.customers)})`, cost: money(parse(revenue.cost_usd), costDigits), revenue: money(parse(revenue.revenue_usd), digits), margin: shown(revenue, left(revenue)), margin_pct: shown(revenue, part(revenue)) } }] : []),
  };
}

const isLoss = (row) => row.margin_usd !== null && parse(row.margin_usd) < 0n;
const part = (row) => (row.margin_pct === null ? "–" : percent(row.margin_pct / 100));

function revenueNote(page, revenue) {
  const text = revenue
    ? `Revenue of ${when(page, revenue.since)} to ${when(page, revenue.until)}: of each month the part that is in here, from the first call on.`
    : "Revenue and margin stand here where the config says what customers pay (extensions.api.revenue), unless something other than customers is filtered.";
  return h("p", { class: "soft" }, text);
}

const when = (page, at) => instant(at, page.zone());

function tile(label, value, title, note) {
  return h("div", { class: "tile", "data-key": label }, h("dt", {}, label), h("dd", { class: "big", title: title ?? value }, value), h("dd", { class: "note" }, note));
}
