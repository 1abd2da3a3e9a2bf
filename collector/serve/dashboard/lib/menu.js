// A button that opens a box: closed by Escape, by a click outside, and when the focus leaves it.
import { h } from "./dom.js";

/** `content` is a node; `onopen(element)` may fill it when it is opened. `key` keeps it itself while the page changes. */
export function menu({ key, label, title = null, content, onopen = null, kind = "", side = "start" }) {
  const toggled = (event) => {
    if (event.target.open && onopen) onopen(event.target);
  };
  return h("details", { class: `menu ${kind}`, "data-key": key, ontoggle: toggled }, h("summary", { title, class: "button" }, label), h("div", { class: `box ${side}` }, content));
}

export function closeMenus(except = null) {
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(except)) open.open = false;
}

document.addEventListener("pointerdown", (event) => closeMenus(event.target));
document.addEventListener("focusin", (event) => closeMenus(event.target));
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
