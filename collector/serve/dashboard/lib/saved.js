// Views that people keep: a name and a query, in this browser. To share one, share its address.
import { fill, h } from "./dom.js";
import { menu } from "./menu.js";
import { query, remember, remembered } from "./state.js";

const KEY = "otel-cost.views";
const MOST = 50;

/** What is kept: `[{name, query}]`. */
export function savedViews() {
  try {
    const kept = JSON.parse(remembered(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one.name === "string" && typeof one.query === "string" && one.query.startsWith("?")) : [];
  } catch {
    return [];
  }
}

export function savedMenu(page) {
  return menu({ key: "saved", label: "Saved", title: "Saved views", side: "end", content: h("div", { class: "saved", owned: true }), onopen: (opened) => show(page, opened.querySelector(".saved")) });
}

function show(page, box) {
  const kept = savedViews();
  const keep = (views) => {
    remember(KEY, JSON.stringify(views.slice(0, MOST)));
    show(page, box);
  };
  const name = h("input", { type: "text", name: "name", required: true, maxlength: "80", autocomplete: "off", "aria-label": "Name of this view", placeholder: "Name of this view" });
  const save = (event) => {
    event.preventDefault();
    keep([...kept.filter((one) => one.name !== name.value.trim()), { name: name.value.trim(), query: query(page.state) }]);
  };
  const copy = async (event) => {
    await navigator.clipboard?.writeText(location.href);
    fill(event.target, "Link copied");
  };
  box.replaceChildren(
    kept.length
      ? h("ul", { class: "saved-list" }, kept.map((one) => h("li", {}, h("a", { href: one.query }, one.name), h("button", { type: "button", class: "remove", "aria-label": `Forget ${one.name}`, onclick: () => keep(kept.filter((other) => other !== one)) }, "×"))))
      : h("p", { class: "soft" }, "A saved view keeps the filters, the time range and the table’s settings."),
    h("form", { class: "row", onsubmit: save }, name, h("button", {}, "Save")),
    navigator.clipboard ? h("button", { type: "button", class: "quiet", onclick: copy }, "Copy link") : null,
  );
}
