// Starts the page: who asks, what the address says, and the view that shows it.
import { forget, get, pairs } from "./lib/api.js";
import { redrawCharts } from "./lib/charts.js";
import { failure, empty } from "./lib/empty.js";
import { filterBar } from "./lib/filters.js";
import { frame, notices, showLive } from "./lib/frame.js";
import { fill, h } from "./lib/dom.js";
import { Live } from "./lib/live.js";
import { login } from "./lib/login.js";
import { closeMenus } from "./lib/menu.js";
import { Board } from "./lib/panels.js";
import { changed, Location, query, selection } from "./lib/state.js";
import { VIEWS } from "./views/index.js";

const LONGEST_MS = 5000; // a view that takes longer is followed all the same

const content = document.getElementById("content");
const bar = document.getElementById("bar");
const board = new Board(h("div", { class: "board" }), refused);
const place = new Location(show);
let zone = null; // of the collector, once an answer has said it
let me = null;
let shownView = null;
let turns = 0; // changes of state: a view that loads late is not shown over a later one

/** What views know of the page. */
const page = {
  get state() {
    return place.state;
  },
  get me() {
    return me;
  },
  /** Time zone of days: the chosen one, else the collector's. */
  zone: (ofCollector = false) => (ofCollector ? null : place.state.tz) ?? zone ?? "UTC",
  go: (changes, options) => place.go(changes, options),
  /** The address of the page with changes: for real links. */
  link: (changes) => query(changed(place.state, changes)),
  /** First value of a parameter of the view itself. */
  own: (name, otherwise = null) => place.state.own.get(name)?.[0] ?? otherwise,
  owns: (name, otherwise = []) => place.state.own.get(name) ?? otherwise,
  /** The answer to a question about the selected calls. */
  async ask(path, params = {}) {
    const answer = await get(path, [...selection(place.state), ...pairs(params)]);
    if (!place.state.tz && answer.selection?.tz && answer.selection.tz !== zone) {
      zone = answer.selection.tz;
      filterBar(bar, page);
    }
    return answer;
  },
  /** Parameters of the selected calls, for links to the API itself. */
  params: (params = {}) => [...selection(place.state), ...pairs(params)],
  refresh: () => board.refresh(),
  /** Says something to people who listen to the page. */
  say(text) {
    document.getElementById("said").textContent = text;
  },
};

const live = new Live({
  onchange: news,
  onbudget: (event) => {
    notices.add(event, page);
    news();
  },
  onstate: showLive,
});

function news() {
  forget();
  return board.refresh();
}

async function start() {
  askAhead();
  try {
    me = await get("/me");
  } catch (error) {
    if (error.status === 401) {
      refused(error);
      return;
    }
    if (error.status !== 404) {
      fill(content, failure(error, start));
      return;
    }
    me = { name: "", role: "viewer", org: null, orgs: null, login: "none", links: {} };
  }
  frame(page, VIEWS, live, redrawCharts, signedOut);
  content.replaceChildren(board.root);
  await Promise.race([show(), new Promise((resolve) => setTimeout(resolve, LONGEST_MS))]);
  if (me) live.start(); // after the first answers: a browser opens six connections, and this one stays open
}

const viewNow = () => VIEWS.find((one) => one.id === place.state.view);

/** What the view will ask is on its way while who asks is being found out: its panels then find the answers (`get`). */
function askAhead() {
  for (const panel of viewNow()?.panels(page) ?? []) panel.ask?.().catch(() => {}); // the panel will tell
}

async function show() {
  if (!me) return;
  const view = viewNow();
  const moved = shownView !== null && shownView !== view;
  shownView = view ?? null;
  closeMenusOnMove(moved);
  frame(page, VIEWS, live, redrawCharts, signedOut);
  bar.hidden = view?.filters === false;
  filterBar(bar, page);
  if (!view) {
    fill(board.root, empty(`There is no view “${place.state.view}”`, h("p", {}, h("a", { href: "?" }, "To the overview"))));
    return;
  }
  document.title = `${view.title} · otel-cost`;
  if (moved) {
    window.scrollTo(0, 0);
    page.say(view.title);
  }
  const turn = (turns += 1);
  document.body.dataset.moving = "";
  try {
    await board.show(view.id, view.panels(page));
  } catch (error) {
    console.error(error);
    fill(board.root, failure({ message: "This view cannot be shown. A newer version may be running: load the page again." }, () => location.reload()));
  } finally {
    if (turn === turns) delete document.body.dataset.moving;
  }
}

function closeMenusOnMove(moved) {
  if (moved) closeMenus();
}

function refused(error) {
  live.stop();
  me = null;
  bar.hidden = true;
  login(content, error, () => {
    bar.hidden = false;
    start();
  });
}

function signedOut() {
  location.reload();
}

start();
