// Budgets: how full each is, when it will be, what happened, and who asks for more.
import { get, post } from "../lib/api.js";
import { h, svg } from "../lib/dom.js";
import { code, empty } from "../lib/empty.js";
import { count, instant, moment, percent, plural } from "../lib/format.js";
import { parse, usd } from "../lib/money.js";
import { pill } from "../lib/spark.js";
import { table } from "../lib/table.js";

const GAUGES = 8;
const GAUGES_OF_RULE = 2; // a rule for each run or customer has thousands
const COUNTERS_OF_RULE = 12;
const EVENTS = 50;
const DAY_MS = 86_400_000;
const STATES = { ok: ["ok", ""], warning: ["warning", "warn"], exceeded: ["used up", "bad"] };
const UNTIL = [["1h", "1 hour"], ["4h", "4 hours"], ["1d", "1 day"], ["", "the window ends"]];
const HAPPENED = { warn: "warn", exceed: "bad" };

export function panels(page) {
  return [
    { id: "gauges", title: "The fullest", shape: "tiles", plain: true, ask: () => asked(page), draw: (known) => (known.counters.length ? h("div", { class: "gauges" }, fullest(known.counters, GAUGES_OF_RULE).slice(0, GAUGES).map((one) => gauge(page, one, known))) : known.budgets.length ? h("p", { class: "soft" }, `${plural(known.budgets.length, "budget")}; none has counted a call yet.`) : nothing()) },
    { id: "queue", title: "Waiting for approval", ask: () => get("/approvals", { state: "all", limit: 1000 }), draw: ({ approvals }) => queue(page, approvals) },
    { id: "counters", title: "All budgets", shape: "list", ask: () => asked(page), draw: (known) => counterTable(page, known) },
    { id: "events", title: "What happened", shape: "list", size: "two-thirds", ask: () => get("/budgets/events", { limit: EVENTS }), draw: ({ events }) => eventTable(page, events) },
    { id: "deliveries", title: "Messages that did not arrive", size: "third", ask: () => get("/budgets/deliveries", { state: "dead" }), draw: ({ deliveries }) => deadLetters(page, deliveries) },
  ];
}

/** Every counter with its rule and its outlook, the fullest first. */
async function asked(page) {
  const [{ budgets }, { rules }, outlook] = await Promise.all([get("/budgets"), get("/budgets/rules"), get("/projections", { tz: page.state.tz }).catch(() => ({ budgets: [] }))]);
  const ahead = new Map(outlook.budgets.map((one) => [JSON.stringify([one.rule, one.org, one.scope_value]), one]));
  const written = new Map(rules.map((rule) => [rule.name, rule]));
  const counters = budgets.flatMap((budget) => budget.counters.map((counter) => ({ ...counter, budget, rule: written.get(budget.name), ahead: ahead.get(JSON.stringify([budget.name, counter.org, counter.scope_value])) ?? null })));
  counters.sort((a, b) => b.percent - a.percent);
  return { counters, budgets, unlisted: budgets.reduce((all, budget) => all + budget.counters_not_listed, 0), orgs: new Set(counters.map((counter) => counter.org)).size };
}

/** At most so many of each rule. */
function fullest(counters, most) {
  const seen = new Map();
  return counters.filter(({ budget }) => {
    seen.set(budget.name, (seen.get(budget.name) ?? 0) + 1);
    return seen.get(budget.name) <= most;
  });
}

/** "month", "7 days", "run": as the rule says it. */
const per = (counter) => (counter.rule?.limit?.split("/")[1]?.trim() ?? counter.budget.window).replace(/^(\d+)d$/, (_, days) => plural(Number(days), "day"));

/** An amount of a budget: dollars, or a count of tokens or calls. */
const amount = (value, unit) => (value === null || value === undefined ? "–" : unit === "USD" ? usd(parse(String(value))) : `${count(Number(value))} ${unit}`);

/** Whose counter it is: the organization's own needs no name unless there are several. */
function whose(counter, many) {
  const named = counter.rule?.scope === "organization" ? counter.org : counter.scope_value;
  return many && named !== counter.org ? `${counter.org}: ${named}` : named;
}

function gauge(page, counter, known) {
  const { budget, ahead } = counter;
  const [text, kind] = STATES[counter.state] ?? [counter.state, ""];
  const label = `${budget.name}, ${whose(counter, known.orgs > 1)}: ${amount(counter.spent, budget.unit)} of ${amount(counter.limit, budget.unit)}, ${text}`;
  return h(
    "section",
    { class: "tile", "data-key": `${budget.name} ${counter.org} ${counter.scope_value}`, "aria-label": label },
    h("p", { class: "label" }, budget.name, " ", h("span", { class: "soft" }, `· ${whose(counter, known.orgs > 1)} · per ${per(counter)}`)),
    h("p", { class: "big" }, percent(counter.percent / 100), " ", pill(text, kind)),
    meter(counter, kind, label),
    h("p", { class: "note" }, `${amount(counter.spent, budget.unit)} of ${amount(counter.limit, budget.unit)}`, Number(counter.leased) ? `, ${amount(counter.leased, budget.unit)} more promised to calls under way` : ""),
    h("p", { class: "note" }, outlookOf(page, counter, ahead)),
  );
}

/** The part that is used, with a line at each warning; beyond the limit the whole bar is the limit's colour. */
function meter(counter, kind, label) {
  const used = Math.min(1, counter.percent / 100);
  const leased = Math.max(0, Math.min(1 - used, Number(counter.leased) / Number(counter.limit) || 0));
  const marks = (counter.rule?.warn_at ?? []).map((text) => Number.parseFloat(text)).filter((mark) => mark > 0 && mark < 100);
  const x = (part) => `${(part * 100).toFixed(2)}%`;
  return svg(
    "svg",
    { class: `meter ${kind}`, role: "img", "aria-label": label, focusable: "false" },
    svg("rect", { class: "meter-used", width: x(used), height: "100%", rx: 3 }),
    svg("rect", { class: "meter-leased", x: x(used), width: x(leased), height: "100%" }),
    marks.map((mark) => svg("line", { class: "meter-mark", x1: x(mark / 100), x2: x(mark / 100), y1: 0, y2: "100%" }, svg("title", {}, `warns at ${mark}%`))),
  );
}

function outlookOf(page, counter, ahead) {
  const ends = endOf(page, counter);
  if (counter.state === "exceeded") return ends || "has no end by itself";
  if (ahead?.hit_at) return h("span", { class: "bad" }, `at this rate used up ${near(page, ahead.hit_at)}`);
  if (ahead?.projected) return `${amount(ahead.projected, counter.budget.unit)} expected by the end; ${ends}`;
  return ends;
}

function endOf(page, counter) {
  const { budget } = counter;
  if (budget.window === "rolling") return `always the last ${per(counter)}`;
  return budget.resets_at ? `starts anew ${moment(budget.resets_at, page.zone())}` : "";
}

/** What a window comes to, or when its limit is reached before. */
function expected(page, { ahead, budget, state }) {
  if (state !== "exceeded" && ahead?.hit_at) return h("span", { class: "bad", title: `at this rate used up ${moment(ahead.hit_at, page.zone())}` }, `used up ${soon(ahead.hit_at)}`);
  return ahead?.projected ? amount(ahead.projected, budget.unit) : "";
}

/** "in 3 days (25 Nov 14:30)". */
const near = (page, at) => `${soon(at)} (${moment(at, page.zone())})`;

function soon(at) {
  const days = Math.floor((Date.parse(at) - Date.now()) / DAY_MS);
  return days < 1 ? "within a day" : `in ${plural(days, "day")}`;
}

function nothing() {
  return empty(
    "There are no budgets",
    h("p", {}, "A budget is a rule in the collector's config, or one that is made while it runs with ", h("code", {}, "otel-cost budgets rules"), "."),
    code("processors:\n  budget:\n    rules:\n      - {name: org-monthly, scope: organization, limit: 500 USD/month, warn_at: 80%}\n      - {name: each-customer, scope: customer, limit: 5 USD/day, on_exceed: [notify, block]}"),
  );
}

function counterTable(page, known) {
  if (!known.counters.length) return h("p", { class: "soft" }, "None has counted a call yet.");
  const many = known.orgs > 1;
  const shown = fullest(known.counters, COUNTERS_OF_RULE);
  const hidden = known.unlisted + known.counters.length - shown.length;
  return [
    table({
      caption: "Budgets with what is spent of them", rows: shown, rowKey: (one) => JSON.stringify([one.budget.name, one.org, one.scope_value]),
      columns: [
        { key: "name", label: "Budget", head: true, cell: (one) => [one.budget.name, h("span", { class: "soft only-phone" }, whose(one, many))] },
        { key: "whose", label: "Of", narrow: "hide", cell: (one) => whose(one, many) },
        { key: "used", label: "Used", align: "end", cell: (one) => percent(one.percent / 100) },
        { key: "meter", label: "", class: "fill", narrow: "hide", cell: (one) => meter(one, (STATES[one.state] ?? ["", ""])[1], `${percent(one.percent / 100)} used`) },
        { key: "spent", label: "Spent", align: "end", cell: (one) => amount(one.spent, one.budget.unit) },
        ...(shown.some((one) => Number(one.leased)) ? [{ key: "leased", label: "Promised", title: "Leased to calls that are under way", align: "end", narrow: "hide", cell: (one) => (Number(one.leased) ? amount(one.leased, one.budget.unit) : "") }] : []),
        { key: "limit", label: "Limit", align: "end", cell: (one) => `${amount(one.limit, one.budget.unit)}` },
        { key: "window", label: "Per", cell: per },
        { key: "does", label: "At the limit", narrow: "hide", cell: (one) => h("span", { class: "soft" }, (one.rule?.on_exceed ?? []).map(action).join(", ")) },
        { key: "ahead", label: "Expected", title: "By the end of the window", align: "end", narrow: "hide", cell: (one) => h("span", { class: "soft" }, expected(page, one)) },
        { key: "ends", label: "Starts anew", narrow: "hide", cell: (one) => h("span", { class: "soft", title: endOf(page, one) }, one.budget.window === "rolling" ? "rolling" : one.budget.resets_at ? moment(one.budget.resets_at, page.zone()) : "") },
        { key: "state", label: "", cell: (one) => pill(...(STATES[one.state] ?? [one.state])) },
      ],
    }),
    hidden > 0 ? h("p", { class: "soft" }, `${count(hidden)} more counters, less used than those of the same rule here; `, h("code", {}, "otel-cost budgets list"), " shows them.") : null,
  ];
}

const action = (one) => (typeof one === "string" ? one : Object.keys(one)[0]).replaceAll("_", " ");

function eventTable(page, events) {
  if (!events.length) return h("p", { class: "soft" }, "No threshold was crossed yet.");
  return table({
    caption: "Thresholds that were crossed, and decisions", rows: events, rowKey: (event) => event.id,
    columns: [
      { key: "at", label: "When", cell: (event) => h("span", { title: instant(event.happened_at, page.zone()) }, moment(event.happened_at, page.zone())) },
      { key: "rule", label: "Budget", head: true, cell: (event) => [event.rule, h("span", { class: "soft only-phone" }, event.scope_value)] },
      { key: "whose", label: "Of", narrow: "hide", cell: (event) => event.scope_value },
      { key: "what", label: "What", cell: (event) => pill(event.threshold_percent ? `${event.threshold_percent}%` : event.kind.replaceAll("_", " "), HAPPENED[event.kind] ?? "", event.detail || null) },
      { key: "spent", label: "Spent", align: "end", cell: (event) => amount(event.spent, event.unit) },
      { key: "limit", label: "Limit", align: "end", cell: (event) => amount(event.limit, event.unit) },
    ],
  });
}

function deadLetters(page, deliveries) {
  if (!deliveries.length) return h("p", { class: "soft" }, "All messages were delivered.");
  const mayRetry = page.me.role !== "viewer";
  return h("ul", { class: "letters" }, deliveries.map((delivery) => letter(page, delivery, mayRetry)));
}

function letter(page, { id, channel, event, attempts, last_error: why, tried_at: at }, mayRetry) {
  const failed = h("p", { class: "failure-text", role: "alert" });
  const again = (pressed) => {
    pressed.target.disabled = true;
    post(`/budgets/deliveries/${encodeURIComponent(id)}/retry`).then(
      () => {
        page.say(`The message to ${channel} is sent again`);
        page.refresh();
      },
      (error) => {
        pressed.target.disabled = false;
        failed.textContent = error.message;
      },
    );
  };
  return h(
    "li",
    { "data-key": id, owned: true },
    h("p", {}, h("b", {}, channel), ` about ${event.rule}, ${event.scope_value}: ${event.kind.replaceAll("_", " ")}, ${moment(event.happened_at, page.zone())}`),
    h("p", { class: "soft" }, `${why || "it gave no reason"} (${plural(attempts, "attempt")}, the last ${moment(at, page.zone())})`),
    mayRetry ? h("button", { type: "button", onclick: again }, "Send again") : null,
    failed,
  );
}

function queue(page, approvals) {
  const open = approvals.filter((ticket) => ticket.state === "open");
  const decided = approvals.filter((ticket) => ticket.state !== "open").sort((a, b) => (a.decided_at < b.decided_at ? 1 : -1)).slice(0, 10);
  return [
    open.length ? h("ul", { class: "letters" }, open.map((ticket) => request(page, ticket))) : h("p", { class: "soft" }, "Nobody asks for more."),
    decided.length ? h("details", {}, h("summary", {}, `${plural(decided.length, "decision")} before`), h("ul", { class: "letters" }, decided.map((ticket) => h("li", { "data-key": ticket.ticket }, h("b", {}, `${ticket.rule}, ${ticket.scope_value}`), ` ${ticket.state}${ticket.decided_by ? ` by ${ticket.decided_by}` : ""} ${instant(ticket.decided_at, page.zone())}${ticket.note ? `: ${ticket.note}` : ""}`)))) : null,
  ];
}

/** Who asks, and the form that answers. Its fields are the reader's: they stay when the list is drawn again. */
function request(page, ticket) {
  const says = `${ticket.rule}, ${ticket.scope_value}`;
  const failed = h("p", { class: "failure-text", role: "alert" });
  const field = (text, input) => h("label", {}, text, " ", input);
  const raise = h("input", { name: "raise", required: true, inputmode: ticket.unit === "USD" ? "decimal" : "numeric", size: "10" });
  const until = h("select", { name: "expires_in" }, UNTIL.map(([value, text]) => h("option", { value }, text)));
  const by = page.me.login === "none" ? h("input", { name: "by", autocomplete: "name", maxlength: "200", size: "14" }) : null;
  const note = h("input", { name: "note", maxlength: "1000", size: "24" });
  async function decide(how, body) {
    failed.textContent = "";
    const more = { ...(by?.value ? { by: by.value } : {}), ...(note.value ? { note: note.value } : {}) };
    try {
      await post(`/approvals/${encodeURIComponent(ticket.ticket)}/${how}`, { ...body, ...more });
      page.say(`${says}: ${how === "approve" ? "approved" : "denied"}`);
      page.refresh();
    } catch (error) {
      failed.textContent = [error.where, error.message, error.allowed && `allowed: ${error.allowed}`].filter(Boolean).join(": ");
    }
  }
  const approve = (event) => {
    event.preventDefault();
    const text = raise.value.trim();
    decide("approve", { raise: ticket.unit !== "USD" && /^\d+$/.test(text) ? Number(text) : text, ...(until.value ? { expires_in: until.value } : {}) });
  };
  return h(
    "li",
    { "data-key": ticket.ticket, owned: true },
    h("p", {}, h("b", {}, says), ` spent ${amount(ticket.spent, ticket.unit)} of ${amount(ticket.limit, ticket.unit)}; ${ticket.asked_by ?? "somebody"} asks for more, ${instant(ticket.asked_at, page.zone())}. May be raised by ${amount(ticket.raise_at_most, ticket.unit)}.`),
    h("form", { class: "row", "aria-label": `Decide on ${says}`, onsubmit: approve }, field(`Raise by (${ticket.unit})`, raise), field("Until", until), by ? field("Your name", by) : null, field("Note", note), h("button", { type: "submit", class: "primary" }, "Approve"), h("button", { type: "button", onclick: () => decide("deny", {}) }, "Deny")),
    failed,
  );
}
