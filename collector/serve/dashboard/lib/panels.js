// A view is a list of panels. Each asks for itself, shows its own failure, and keeps what it shows while it asks again.
import { ApiFailure } from "./api.js";
import { drawCharts } from "./charts.js";
import { fill, h } from "./dom.js";
import { failure } from "./empty.js";

const BUSY_MS = 250;

/**
 * Shows the panels of the current view below `root`.
 *
 * A panel is `{id, title, size, ask, draw, tools, plain}`: `ask()` returns a promise of data (or is left out), `draw(data)`
 * returns a node or a list of nodes, `tools()` what stands beside the title, `size` is "full", "half" or "third";
 * `plain` leaves the box and the title (for screen readers it stays) away; `still` is asked again only when the state
 * changes, not when new spans come.
 */
export class Board {
  constructor(root, onRefused) {
    this.root = root;
    this.onRefused = onRefused;
    this.panels = [];
    this.drawn = new Set();
    this.turns = new Map(); // panel -> its last question: answers to older ones are late
  }

  /** Lays out a view's panels and asks for their data; resolves when all have answered. */
  show(name, panels) {
    if (name !== this.name) {
      this.drawn.clear();
      this.turns.clear();
      fill(this.root);
    }
    this.name = name;
    this.panels = panels;
    fill(this.root, panels.map((panel) => this.box(panel)));
    drawCharts(this.root);
    return this.load(panels);
  }

  /** Asks again, after news. */
  refresh() {
    return this.load(this.panels.filter((panel) => !panel.still));
  }

  async load(panels) {
    await Promise.all(panels.map((panel) => this.one(panel)));
  }

  async one(panel) {
    const body = this.body(panel);
    if (!body) return;
    const turn = {};
    this.turns.set(panel.id, turn);
    const late = () => this.turns.get(panel.id) !== turn;
    body.dataset.asking = "";
    const slow = setTimeout(() => body.setAttribute("aria-busy", "true"), BUSY_MS);
    try {
      const data = panel.ask ? await panel.ask() : undefined;
      if (late()) return;
      fill(body, panel.draw(data));
      this.drawn.add(panel.id);
    } catch (error) {
      if (late()) return;
      if (error instanceof ApiFailure && error.status === 401) {
        this.onRefused(error);
        return;
      }
      if (!(error instanceof ApiFailure)) console.error(error);
      this.failed(panel, body, error);
    } finally {
      clearTimeout(slow);
      if (!late()) for (const name of ["aria-busy", "data-asking"]) body.removeAttribute(name);
    }
    drawCharts(body);
  }

  failed(panel, body, error) {
    const shown = failure(error, () => this.load([panel]));
    const old = body.querySelector(":scope > .failure");
    if (old) old.replaceWith(shown);
    else if (this.drawn.has(panel.id)) body.prepend(shown); // what was there stays, and is said to be old
    else fill(body, shown);
  }

  body(panel) {
    return this.root.querySelector(`[data-key="${CSS.escape(panel.id)}"] > .body`);
  }

  box(panel) {
    const id = `panel-${panel.id}`;
    return h(
      "section",
      { class: `panel ${panel.size ?? "full"}${panel.plain ? " plain" : ""}`, "data-key": panel.id, "aria-labelledby": id },
      h("div", { class: panel.plain ? "head unseen" : "head" }, h("h2", { id }, panel.title), panel.tools ? h("div", { class: "tools" }, panel.tools()) : null),
      h("div", { class: `body ${panel.shape ? `shape-${panel.shape}` : ""}`, owned: true }),
    );
  }
}

