// When, and by the clock of which place.
import { h } from "./dom.js";
import { closeMenus, menu } from "./menu.js";

const PRESETS = [
  { label: "Today", since: "today", until: null },
  { label: "Yesterday", since: "yesterday", until: "today" },
  { label: "Last 24 hours", since: "24h", until: null },
  { label: "This week", since: "week", until: null },
  { label: "Last 7 days", since: "7d", until: null },
  { label: "This month", since: "month", until: null },
  { label: "Last 30 days", since: null, until: null }, // what the API takes where nothing is said
  { label: "Last 90 days", since: "90d", until: null },
  { label: "All times", since: "all", until: null },
];

/** The button that says when, and the box in which it is chosen. */
export function timeMenu(page) {
  const { since, until, tz } = page.state;
  const zone = tz ?? `${page.zone()}`;
  return menu({ key: "times", kind: "times", label: [h("b", {}, timesName(since, until)), " ", h("span", { class: "soft wide-only" }, zone)], title: `Time range, ${zone}`, content: h("div", { class: "times-box", owned: true }), onopen: (opened) => choose(page, opened.querySelector(".times-box")) });
}

/** "Last 7 days", "3 Nov 10:00 to now". */
export function timesName(since, until) {
  const preset = PRESETS.find((one) => one.since === since && one.until === until);
  if (preset) return preset.label;
  return `${since ? since.replace("T", " ") : "30 days"} to ${until ? until.replace("T", " ") : "now"}`;
}

function choose(page, box) {
  const { since, until } = page.state;
  const take = (changes) => {
    closeMenus();
    page.go(changes);
    document.querySelector('[data-key="times"] > summary').focus();
  };
  const from = h("input", { type: "datetime-local", name: "since", value: local(since) });
  const to = h("input", { type: "datetime-local", name: "until", value: local(until) });
  const custom = (event) => {
    event.preventDefault();
    if (from.value || to.value) take({ since: from.value || null, until: to.value || null });
  };
  box.replaceChildren(
    h("div", { class: "presets", role: "group", "aria-label": "Time range" }, PRESETS.map((one) => h("button", { type: "button", class: "quiet", "aria-pressed": String(one.since === since && one.until === until), onclick: () => take({ since: one.since, until: one.until }) }, one.label))),
    h("form", { onsubmit: custom }, h("label", {}, "From", from), h("label", {}, "Until", to), h("button", {}, "Apply")),
    h("label", {}, "Days begin at midnight in", zones(page)),
  );
  box.querySelector("[aria-pressed=true], button").focus();
}

const local = (text) => (text && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? text.slice(0, 16) : "");

function zones(page) {
  const chosen = page.state.tz ?? "";
  const option = (value, label) => {
    const made = h("option", { value }, label);
    made.selected = value === chosen;
    return made;
  };
  const all = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  const browser = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const near = [...new Set([browser, "UTC", ...(chosen ? [chosen] : [])])];
  return h(
    "select",
    { name: "tz", onchange: (event) => page.go({ tz: event.target.value || null }) },
    option("", `the collector's zone (${page.zone(true)})`),
    near.map((name) => option(name, name === browser ? `${name} (this browser)` : name)),
    h("optgroup", { label: "All zones" }, all.filter((name) => !near.includes(name)).map((name) => h("option", { value: name }, name.replace(/_/g, " ")))),
  );
}
