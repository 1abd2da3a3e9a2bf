// The cost of every group of any dimension, in a table that adds up.
import { address } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dimensionSelect } from "../lib/dimension.js";
import { missing, nothing } from "../lib/empty.js";
import { count } from "../lib/format.js";
import { groupTable, sortOf, WHOLE } from "../lib/groups.js";
import { said } from "../lib/state.js";

const PAGE_ROWS = 50;
const FILE_ROWS = 1000;
const TYPING_MS = 250;
let typing = 0;

export function panels(page) {
  const by = page.owns("by", ["agent"]);
  return [{
    id: "breakdown", title: `Cost by ${by.map(said).join(" and ")}`, shape: "tall",
    tools: () => tools(page, by),
    ask: () => asked(page, by),
    draw: ({ answer, none }) => none ?? [lacking(by, answer), groupTable(page, by, answer), pager(page, answer)],
  }];
}

function question(page, by) {
  return { by, sort: sortOf(page), search: page.own("search") };
}

async function asked(page, by) {
  const offset = Number(page.own("offset", "0")) || 0;
  const answer = await page.ask("/breakdown", { ...question(page, by), limit: PAGE_ROWS, offset: offset || null, ...WHOLE });
  return { answer, none: answer.total.calls === 0 && !page.own("search") ? await nothing(page) : null };
}

/** Where no call names the dimension at all: how to set it. The table below still shows what is spent. */
function lacking(by, answer) {
  const nameless = (key) => answer.rows.length > 0 && answer.rows.every((row) => row.key[key] === null) && !answer.other;
  const key = by.find(nameless);
  return key ? missing(key) : null;
}

function tools(page, by) {
  const search = h("input", { type: "search", name: "search", value: page.own("search", ""), placeholder: `Find ${said(by[0])}`, "aria-label": `Find ${said(by[0])}`, oninput: (event) => find(page, event.target.value) });
  const second = by[1] ?? "none";
  return [
    dimensionSelect(page, { chosen: by[0], label: "By", onpick: (value) => group(page, value, second) }),
    dimensionSelect(page, { chosen: second, label: "and", name: "and", none: "nothing else", onpick: (value) => group(page, by[0], value) }),
    search,
    h("a", { class: "button", href: address("/export/breakdown.csv", page.params({ ...question(page, by), limit: FILE_ROWS })), download: "" }, "CSV"),
  ];
}

function group(page, first, second) {
  page.go({ own: { by: second === "none" || second === first ? [first] : [first, second], offset: null, search: null } });
}

function find(page, text) {
  clearTimeout(typing);
  typing = setTimeout(() => page.go({ own: { search: text.trim() || null, offset: null } }, { replace: true }), TYPING_MS);
}

function pager(page, answer) {
  const offset = Number(page.own("offset", "0")) || 0;
  if (answer.groups <= PAGE_ROWS && offset === 0) return null;
  const last = Math.min(offset + answer.rows.length, answer.groups);
  const to = (label, at, possible) => (possible ? h("a", { class: "button", href: page.link({ own: { offset: at > 0 ? String(at) : null } }) }, label) : h("span", { class: "button", "aria-disabled": "true" }, label));
  return h("div", { class: "pages" }, `${count(offset + 1)} to ${count(last)} of ${count(answer.groups)}`, to("Previous", offset - PAGE_ROWS, offset > 0), to("Next", offset + PAGE_ROWS, last < answer.groups));
}
