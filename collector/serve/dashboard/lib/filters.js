// The bar above every view: when, whose days, which calls, and views that are kept.
import { get, pairs } from "./api.js";
import { fill, h, uid } from "./dom.js";
import { failure } from "./empty.js";
import { named, short } from "./format.js";
import { closeMenus, menu } from "./menu.js";
import { parse, usd } from "./money.js";
import { savedMenu } from "./saved.js";
import { ATTRIBUTE, FILTERS, said, selection, changed } from "./state.js";
import { timeMenu } from "./times.js";

const SHOWN = 20;
const TYPING_MS = 150;
const STATUSES = ["ok", "error", "retry", "wasted", "cached"];

/** Fills the bar for the page's state. */
export function filterBar(root, page) {
  const chips = [...page.state.filters.keys()].map((key) => chip(page, key));
  fill(
    root,
    timeMenu(page),
    chips,
    menu({ key: "add-filter", label: "+ Filter", content: h("div", { class: "keys", owned: true }), onopen: (opened) => pickKey(page, opened) }),
    page.state.filters.size ? h("button", { type: "button", class: "quiet", "data-key": "clear", onclick: () => clear(page) }, "Clear") : null,
    h("span", { class: "gap", "data-key": "gap" }),
    savedMenu(page),
  );
}

function clear(page) {
  page.go({ filters: Object.fromEntries([...page.state.filters.keys()].map((key) => [key, null])) });
  document.querySelector('[data-key="add-filter"] > summary').focus();
}

function chip(page, key) {
  const values = page.state.filters.get(key);
  const text = values.map(named).join(", ");
  return h(
    "span",
    { class: "chip", "data-key": `chip-${key}` },
    menu({ key: `menu-${key}`, label: [h("span", { class: "soft" }, said(key)), " ", h("b", {}, text.length > 32 ? `${text.slice(0, 31)}…` : text)], title: text, content: h("div", { class: "values", owned: true }), onopen: (opened) => pickValues(page, opened.querySelector(".values"), key) }),
    h("button", { type: "button", class: "remove", "aria-label": `Remove the filter ${said(key)}`, onclick: () => removed(page, key) }, "×"),
  );
}

function removed(page, key) {
  page.go({ filters: { [key]: null } });
  document.querySelector('[data-key="add-filter"] > summary').focus();
}

/** First step of "+ Filter": which of the twelve, or an attribute by name. */
function pickKey(page, opened) {
  const box = opened.querySelector(".keys");
  const choose = (key) => {
    box.replaceChildren(h("div", { class: "values" }));
    pickValues(page, box.firstChild, key, () => pickKey(page, opened));
  };
  const attribute = h("input", { type: "text", placeholder: "e.g. gen_ai.response.finish_reasons", "aria-label": "Span attribute", autocomplete: "off", spellcheck: "false", name: "attribute" });
  const byAttribute = (event) => {
    event.preventDefault();
    if (attribute.value.trim()) choose(ATTRIBUTE + attribute.value.trim());
  };
  box.replaceChildren(
    h("ul", { class: "key-list" }, FILTERS.map((filter) => h("li", {}, filter.keys.length > 1 ? h("span", { class: "soft" }, filter.label) : null, filter.keys.map((key) => h("button", { type: "button", class: "quiet", onclick: () => choose(key) }, filter.keys.length > 1 ? said(key) : filter.label))))),
    h("form", { class: "attribute", onsubmit: byAttribute }, h("span", { class: "soft" }, "Any span attribute"), h("span", { class: "row" }, attribute, h("button", {}, "Choose"))),
  );
  box.querySelector("button").focus();
}

/** Values of one key with what they cost, each with a box to tick; typing asks the collector. */
function pickValues(page, box, key, back = null) {
  const list = h("div", { class: "value-list", role: "group", "aria-label": `Values of ${said(key)}` });
  const typed = h("input", { type: "search", placeholder: `Find ${said(key)}`, "aria-label": `Find ${said(key)}`, autocomplete: "off", spellcheck: "false" });
  let timer = 0;
  typed.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, TYPING_MS);
  });
  let turn = 0;
  const chosen = () => page.state.filters.get(key) ?? [];
  const toggle = (value, on) => page.go({ filters: { [key]: on ? [...chosen(), value] : chosen().filter((one) => one !== value) } });

  async function look() {
    const mine = (turn += 1);
    try {
      const found = await valuesOf(page, key, typed.value.trim());
      if (mine === turn) fill(list, options(found));
    } catch (error) {
      if (mine === turn) fill(list, failure(error, look));
    }
  }

  function options(found) {
    const listed = found.map((one) => ({ ...one, value: one.value ?? "" }));
    const known = new Set(listed.map((one) => one.value));
    const text = typed.value.trim();
    for (const value of chosen()) if (!known.has(value)) listed.unshift({ value });
    if (text && !known.has(text) && !chosen().includes(text)) listed.push({ value: text, typed: true });
    if (!listed.length) return h("p", { class: "soft" }, key === "trace_id" ? "Paste a trace id above." : "No call has one in this time.");
    return listed.map((one) => option(one, chosen().includes(one.value), toggle));
  }

  box.replaceChildren(
    h("div", { class: "row" }, back ? h("button", { type: "button", class: "quiet", "aria-label": "Back to all filters", onclick: back }, "←") : null, typed),
    list,
    h("div", { class: "row end" }, h("button", { type: "button", onclick: () => closeMenus() }, "Done")),
  );
  typed.focus();
  look();
}

function option(one, on, toggle) {
  const id = uid("value");
  const label = one.typed ? `Exactly “${one.value}”` : named(one.value);
  return h(
    "div",
    { class: "value", "data-key": one.value },
    h("input", { type: "checkbox", id, checked: on, onchange: (event) => toggle(one.value, event.target.checked) }),
    h("label", { for: id, title: label }, label),
    one.calls === undefined ? null : h("span", { class: "soft number" }, usd(parse(one.cost_usd)), h("span", { class: "unseen" }, `, ${one.calls} calls`), h("span", { "aria-hidden": "true" }, ` · ${short(one.calls)}`)),
  );
}

async function valuesOf(page, key, search) {
  if (key === "trace_id") return []; // there are too many to list: it is typed
  if (key === "status") return STATUSES.filter((value) => value.includes(search)).map((value) => ({ value }));
  const others = selection(changed(page.state, { filters: { [key]: null } }));
  const answer = await get(`/dimensions/${encodeURIComponent(key)}/values`, [...others, ...pairs({ search: search || null, limit: SHOWN })]);
  return answer.values;
}
