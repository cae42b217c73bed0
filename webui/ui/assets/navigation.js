// Which view of the page is shown, its address (`view=`), and the tabs that lead to the views.
//
// A view is one entry of VIEWS, a column of that elem_id, and the string [ui] view_<name>. It hears
// of its turn by on("view", (name) => …). Knows nothing about what the views contain.

import { addressOf, emit, h, icon, on, state, t } from "./core.js";
import { preferences } from "./preferences.js";

const CHAT = "chat";
const VIEWS = { // name -> icon
  [CHAT]: "bubble",
  documents: "books",
  summary: "bullets",
  models: "cube",
};

const tabs = new Map();
const root = document.documentElement;

// Only the column of the view that is shown is there; what stands beside the chat goes with it.
const rules = new CSSStyleSheet();
for (const name of Object.keys(VIEWS)) {
  rules.insertRule(`:root:not([data-view="${name}"]) #${name} { display: none !important; }`);
}
document.adoptedStyleSheets.push(rules);
state.view = known(new URLSearchParams(location.search).get("view"));
root.dataset.view = state.view;

function known(name) {
  return Object.hasOwn(VIEWS, name || "") ? name : CHAT;
}

export function navigation(element) {
  for (const [name, symbol] of Object.entries(VIEWS)) tabs.set(name, tab(name, symbol));
  element.replaceChildren(h("nav", { class: "nav", "aria-label": t("views") },
    h("span", { class: "brand-mark", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
    ...tabs.values(),
    preferencesButton("tab nav-foot")));
  mark();
  if (state.view !== CHAT) emit("view", state.view);
}

/** Opens the choice of language and colours; on a phone it is in the drawer, else in the rail. */
export function preferencesButton(className) {
  return h("button", { type: "button", class: className, "aria-haspopup": "menu",
    "aria-expanded": "false", onclick: (event) => preferences(event.currentTarget) },
  icon("globe"), h("span", {}, t("display")));
}

function tab(name, symbol) {
  return h("a", { class: "tab", "data-view": name, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      showView(name);
    } }, icon(symbol), h("span", {}, t(`view_${name}`)));
}

/** Show the view `name`. The conversation of this tab stays what it is. */
export function showView(name, { push = true } = {}) {
  root.classList.remove("side-open");
  const wanted = known(name);
  if (wanted === state.view) return;
  state.view = wanted;
  root.dataset.view = wanted;
  if (push) history.pushState(null, "", addressOf(state.conversation));
  mark();
  emit("view", wanted);
}

function mark() {
  for (const [name, link] of tabs) {
    link.href = addressOf(state.conversation, name); // for a new tab of the browser
    if (name === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** The name of what is shown, for the title of the browser's tab. */
export function viewTitle() {
  return state.view === CHAT ? state.title : t(`view_${state.view}`);
}

// A conversation is opened to be seen; its address has been pushed already.
on("opening", () => showView(CHAT, { push: false }));
on("shown", mark);
