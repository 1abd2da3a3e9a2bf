// What stands around every view: its name, the list of views, whether it is live, the theme, and who asks.
import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { remember } from "./state.js";
import { isDark } from "./charts.js";

const LIVE = {
  connecting: ["Connecting", "New spans will show up by themselves. Press to pause."],
  live: ["Live", "New spans show up by themselves. Press to pause."],
  polling: ["Live", "The page looks for news every 10 seconds. Press to pause."],
  paused: ["Paused", "Press to follow new spans again."],
  reconnecting: ["Reconnecting", "The connection to the collector was lost; the page tries again by itself."],
  offline: ["Offline", "The collector does not answer; the page tries again by itself."],
};
let liveState = "connecting";

/** Fills the header and the navigation for the page's state. */
export function frame(page, views, live, redraw, signedOut) {
  const current = page.state.view;
  fill(
    document.getElementById("top"),
    h("button", { type: "button", class: "icon only-phone", "data-key": "menu", "aria-expanded": String(document.body.classList.contains("nav-open")), "aria-controls": "views", "aria-label": "Views", onclick: toggleViews }, "☰"),
    h("a", { class: "brand", href: "?" }, mark(), "otel-cost"),
    organization(page.me),
    h("span", { class: "gap" }),
    h("button", { type: "button", class: `live ${liveState}`, "data-key": "live", "aria-pressed": String(!live.paused), title: LIVE[liveState][1], onclick: () => live.pause(!live.paused) }, h("span", { class: "dot", "aria-hidden": "true" }), LIVE[liveState][0]),
    h("button", { type: "button", class: "icon", "data-key": "theme", "aria-label": isDark() ? "Light colours" : "Dark colours", title: isDark() ? "Light colours" : "Dark colours", onclick: () => switchTheme(page, views, live, redraw, signedOut) }, isDark() ? "☀" : "☾"),
    page.me.login && page.me.login !== "none" ? h("button", { type: "button", class: "quiet", "data-key": "out", title: `${page.me.name} (${page.me.role})`, onclick: () => post("/logout").finally(signedOut) }, "Sign out") : null,
  );
  fill(
    document.getElementById("views"),
    h("ul", {}, views.map((view) => h("li", {}, h("a", { href: page.link({ view: view.id, own: {} }), "aria-current": view.id === current ? "page" : null, onclick: () => document.body.classList.remove("nav-open") }, view.title)))),
  );
}

/** Whose figures these are; a choice where the login is good for several. */
function organization({ org, orgs }) {
  if (!orgs || orgs.length < 2) return org ? h("span", { class: "org", title: "Organization" }, org) : null;
  const choose = async (event) => {
    await post("/organization", { organization: event.target.value }).catch(() => {});
    location.reload(); // nothing of the other one stays in the page
  };
  const options = orgs.map((one) => h("option", { value: one }, one));
  const field = h("select", { class: "org", "aria-label": "Organization", onchange: choose }, options);
  field.value = org;
  return field;
}

function mark() {
  const icon = document.querySelector("link[rel=icon]");
  return h("img", { src: icon.href, alt: "", width: "20", height: "20" });
}

function toggleViews(event) {
  const open = document.body.classList.toggle("nav-open");
  event.currentTarget.setAttribute("aria-expanded", String(open));
}

function switchTheme(page, views, live, redraw, signedOut) {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("otel-cost.theme", next);
  frame(page, views, live, redraw, signedOut);
  page.refresh();
  redraw();
}

/** Shows whether the page follows the ledger. */
export function showLive(state) {
  liveState = state;
  const button = document.querySelector("#top .live");
  if (!button) return;
  button.className = `live ${state}`;
  button.title = LIVE[state][1];
  button.setAttribute("aria-pressed", String(state !== "paused"));
  button.lastChild.data = LIVE[state][0];
}

const HAPPENED = {
  warn: (event) => `${event.threshold_percent}% of the limit is used`,
  exceed: (event) => (event.threshold_percent > 100 ? `${event.threshold_percent}% of the limit is used` : "the limit is used up"),
  approval_requested: () => "somebody asks for more",
  approved: () => "a raise was approved",
  denied: () => "a raise was denied",
  rule_changed: () => "the rule was changed",
};

/** What budgets have to say, above the view, until it is put away. */
export const notices = {
  add(event, page) {
    const scope = event.scope_value ? `, ${event.scope_value}` : "";
    const text = `Budget ${event.rule}${scope}: ${HAPPENED[event.kind]?.(event) ?? event.kind.replaceAll("_", " ")}`;
    const notice = h("div", { class: "notice", role: "status" }, h("span", {}, text), h("span", { class: "gap" }), h("a", { href: page.link({ view: "budgets" }) }, "Budgets"), h("button", { type: "button", class: "remove", "aria-label": "Put away", onclick: () => notice.remove() }, "×"));
    const content = document.getElementById("content");
    for (const old of [...content.querySelectorAll(":scope > .notice")].slice(2)) old.remove();
    content.prepend(notice);
  },
};
