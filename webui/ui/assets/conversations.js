// The sidebar: new conversation, search, the list with rename and delete.

import { addressOf, emit, follow, h, icon, iconButton, listing, on, openConversation,
  send, state, store, t } from "./core.js";
import { toast } from "./dialogs.js";
import { preferencesButton } from "./navigation.js";

const SEARCH_DELAY_MS = 150;

export function conversations(element, props, watch) {
  const list = h("nav", { class: "conv-list", "aria-label": t("conversations") });
  element.replaceChildren(h("div", { class: "side-inner" },
    brand(), newButton(), searchBox(), list, preferencesButton("side-foot")));
  closesBeside();
  let view = null;
  const draw = () => view && drawList(list, view);
  follow(props, watch, (value) => { view = value; draw(); });
  on("shown", () => mark(list));
  on("opening", () => mark(list));
  on("renamed", draw);
  on("jobs", (jobs) => { noteJobs(jobs); mark(list); });
  on("live", () => mark(list));
}

function brand() {
  return h("div", { class: "brand" },
    h("span", { class: "brand-name" }, "Kajogaki"),
    iconButton("side", t("close_sidebar"), closeSide));
}

/** On a phone the list lies over the page: a touch beside it, or Esc, closes it. */
function closesBeside() {
  const root = document.documentElement.classList;
  const close = () => root.remove("side-open");
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#side, .open-side, #front")) close();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
}

function closeSide() {
  const root = document.documentElement.classList;
  if (root.contains("side-open")) root.remove("side-open");
  else { root.add("side-closed"); store("side", "closed"); }
}

function newButton() {
  return h("a", { class: "new-chat", href: addressOf("", "chat"), onclick: (event) => follows(event, "") },
    icon("plus"), h("span", {}, t("new_chat")));
}

/** A plain click opens here; with a modifier the browser does what it always does. */
function follows(event, id) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openConversation(id);
}

function searchBox() {
  let timer = 0;
  const search = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (input.value === state.query) return;
      state.query = input.value;
      state.size = undefined;
      send("search", listing());
    }, SEARCH_DELAY_MS);
  };
  const input = h("input", { type: "search", placeholder: t("search"), "aria-label": t("search"),
    autocomplete: "off", oninput: (event) => { if (!event.isComposing) search(); },
    oncompositionend: search,
    onkeydown: (event) => {
      if (event.key === "Escape" && input.value) { input.value = ""; search(); }
    } });
  return h("label", { class: "search" }, icon("search"), input);
}

function drawList(list, view) {
  if (list.querySelector("input")) return; // a name is being edited; its end sends a new list
  const groups = view.groups.map((group) => h("section", {}, h("h2", {}, group.label),
    group.items.map((item) => row(item, list, view))));
  if (!groups.length) {
    groups.push(h("p", { class: "conv-empty" },
      view.query ? t("nothing_found") : t("no_conversations")));
  }
  if (view.has_more) {
    groups.push(h("button", { type: "button", class: "conv-more",
      onclick: () => { state.size = view.size + 200; send("search", listing()); } }, t("more")));
  }
  list.replaceChildren(...groups);
  mark(list);
}

/** The snippet with what was searched for marked; places count characters, not UTF-16 units. */
function marked({ snippet, mark: place }) {
  if (!place.length) return [snippet];
  const [chars, [start, end]] = [[...snippet], place];
  const part = (from, to) => chars.slice(from, to).join("");
  return [part(0, start), h("mark", {}, part(start, end)), part(end)];
}

function row(item, list, view) {
  const link = h("a", { class: "conv-open", href: addressOf(item.id, "chat"), title: item.title,
    onclick: (event) => follows(event, item.id),
    ondblclick: () => rename(box, item, list, view) },
    h("span", { class: "conv-title" }, item.title),
    item.snippet ? h("span", { class: "conv-snippet" }, ...marked(item)) : null);
  const box = h("div", { class: "conv", "data-id": item.id }, link,
    iconButton("pencil", t("rename"), () => rename(box, item, list, view)),
    iconButton("trash", t("delete"), () => remove(item)));
  return box;
}

let answered = new Set(); // conversations that are being answered
const unseen = new Set(); // and those whose answer has come while another one was shown

function noteJobs(jobs) {
  const before = answered;
  answered = new Set(jobs.filter((job) => job.kind === "reply").map((job) => job.subject));
  for (const id of before) if (!answered.has(id)) unseen.add(id);
}

function mark(list) {
  if (state.view === "chat") unseen.delete(state.conversation);
  for (const box of list.querySelectorAll(".conv")) {
    const { id } = box.dataset;
    const current = id === state.conversation;
    box.classList.toggle("on", current);
    sign(box, state.lives.has(id) || answered.has(id) ? "answering_now" : unseen.has(id) ? "answered_unseen" : "");
    const link = box.querySelector(".conv-open");
    if (current) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
  }
}

/** A dot before the title of a conversation that is being answered, or has been meanwhile. */
function sign(box, key) {
  const title = box.querySelector(".conv-title");
  if (!title || (title.dataset.sign || "") === key) return;
  title.dataset.sign = key;
  title.querySelector(".conv-sign")?.remove();
  if (key) title.prepend(h("i", { class: `conv-sign ${key}`, role: "img", "aria-label": t(key), title: t(key) }));
}

function rename(box, item, list, view) {
  let finished = false;
  const finish = (save) => {
    if (finished) return;
    finished = true;
    const title = input.value.trim();
    const changed = save && title && title !== item.title;
    if (changed) item.title = title;
    input.remove();
    drawList(list, view);
    if (changed) {
      if (item.id === state.conversation) emit("retitled", title);
      send("rename", { conversation: item.id, title, ...listing() });
    }
  };
  const input = h("input", { class: "conv-rename", maxlength: "200", "aria-label": t("rename"),
    onkeydown: (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
    },
    onblur: () => finish(true) });
  input.value = item.title;
  box.replaceChildren(input);
  input.focus();
  input.select();
}

function remove(item) {
  send("remove", { conversation: item.id, ...listing() });
  if (item.id === state.conversation) openConversation("");
  const restore = () => {
    send("restore", { conversation: item.id, ...listing() });
  };
  toast(t("deleted", { title: item.title }), { action: { label: t("restore"), run: restore } });
}
