// Elements from values. Text is always text: nothing here reads HTML, so what apps say cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: `h("a", {href, class: "x", onclick: fn}, "text", child, [more])`. Attributes that are null, undefined or
 * false are left out, true is written empty; keys that start with "on" are handlers; `value`, `checked`, `chart` (see
 * charts.js) and `owned` (its children are somebody else's: filling leaves them alone) are properties. Children that are
 * null, undefined or false are left out.
 */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

const PROPERTIES = new Set(["chart", "owned", "value", "checked"]);

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on") || PROPERTIES.has(key)) element[key] = value;
    else if (key === "style") for (const [name, said] of Object.entries(value)) element.style.setProperty(name, said);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Makes `root` contain `children`, changing as little as possible: focus, scroll positions and open menus stay. */
export function fill(root, ...children) {
  const fresh = document.createElement(root.localName);
  add(fresh, children);
  morphChildren(root, fresh);
}

const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit", "onkeydown", "onfocus", "onblur", "ontoggle", "onpointerdown"];

function morph(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const name of HANDLERS) if (old[name] !== fresh[name]) old[name] = fresh[name];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name === "style") continue; // below: the text form is not allowed by the page's policy
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.style && old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  if (fresh.chart) old.chart = fresh.chart;
  if (fresh.chart || fresh.owned) return; // what is inside belongs to the chart library, or to whoever owns it
  morphChildren(old, fresh);
  if ("value" in fresh && old.localName !== "li" && old !== document.activeElement && old.value !== fresh.value) old.value = fresh.value;
  if ("checked" in fresh && old.checked !== fresh.checked) old.checked = fresh.checked;
}

function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.dataset && child.dataset.key;
    let match = key ? keyed.get(key) : at;
    if (match && !alike(match, child)) match = null;
    if (!match) {
      old.insertBefore(child, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    morph(match, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return false;
  if (old.nodeType !== Node.ELEMENT_NODE) return true;
  return (old.dataset.key || "") === (fresh.dataset.key || "") && Boolean(old.chart) === Boolean(fresh.chart) && Boolean(old.owned) === Boolean(fresh.owned);
}

let last = 0;
/** An id that nothing else has, for labels. */
export const uid = (prefix) => `${prefix}-${(last += 1)}`;
