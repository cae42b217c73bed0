// The 資料 view: collections, what is in them, adding, searching.

import { clocked, emit, follow, h, icon, iconButton, on, openConversation, store } from "./core.js";
import { asked, confirmed, layer, menu } from "./dialogs.js";
import { act, documentsBridge, learn, s, shown } from "./documents_core.js";
import { finder, searchAgain, takeFound } from "./documents_find.js";
import { documentList, drawList, progressText } from "./documents_list.js";
import { drawEmbedder, drawTest, embedderLine } from "./documents_trust.js";
import { dropping, pick, uploads } from "./documents_upload.js";
import { openSource } from "./source.js";

export { documentsBridge };

const POLL_MS = 400;
const LOST_MS = 5_000; // the first answer is not waited for any longer
const MORE = 200;

let parts = null;
let isOpen = false;

document.head.append(h("link", { rel: "stylesheet", href: new URL("documents.css", import.meta.url).href }));

export function documents(element, props, watch) {
  follow(props, watch, (answer) => {
    if (!learn(answer)) return;
    if (answer.found) return takeFound(answer.found);
    if (answer.detail) return showChunks(answer.detail);
    if (answer.extracted) return showExtracted(answer.extracted);
    if (answer.choices) return emit("choices", answer.choices);
    if (!answer.collections) return;
    shown.view = answer;
    choose(answer.collection, false);
    if (!parts) build(element);
    draw();
    schedule();
  });
}

on("view", (name) => {
  isOpen = name === "documents";
  if (isOpen) act("show");
  schedule();
});

const schedule = clocked(() => act(shown.view ? "poll" : "show"), () => {
  if (!isOpen) return 0;
  const { view } = shown;
  if (!view) return LOST_MS;
  const isMoving = view.is_moving || view.embedder.state === "incomplete"; // or about to begin
  return isMoving || view.test?.is_running || view.trouble ? POLL_MS : 0;
});

function choose(id, isAsked = true) {
  shown.collection = id;
  store("documents.collection", id || null);
  if (!isAsked) return;
  shown.size = undefined;
  act("show");
  searchAgain();
}

const button = (label, onclick, properties = {}) =>
  h("button", { type: "button", class: "button", onclick, ...properties }, label);

function build(element) {
  const [find, found] = finder((isAsking) => page.classList.toggle("asking", isAsking), ask);
  const collections = h("div", { class: "collections", role: "group", "aria-label": s("collections") });
  const drop = h("section", { class: "drop" });
  const state = h("p", { class: "quiet state", role: "status" });
  const trouble = h("p", { class: "bad", role: "alert" });
  const test = h("section", { class: "test" });
  const embedder = embedderLine();
  const more = button(s("show_more"), () => { shown.size = shown.view.documents.length + MORE; act("show"); }, { hidden: true });
  parts = { collections, drop, state, more, find, trouble, test, embedder };
  const page = h("div", { class: "documents-page" },
    h("header", { class: "line" }, h("h1", {}, s("title")), collections),
    find, found,
    h("section", { class: "content" }, trouble, test, drop, embedder, uploads(), state, documentList(), more));
  dropping(page);
  element.replaceChildren(h("div", { class: "documents-scroll", tabIndex: 0 }, page));
}

function draw() {
  const { view } = shown;
  drawCollections();
  drawDrop();
  parts.find.hidden = !view.documents.length;
  const moving = [view.embedding ? progressText(view.embedding) : "",
    view.num_elsewhere ? s("elsewhere", { n: view.num_elsewhere }) : ""].filter(Boolean).join("　");
  parts.state.textContent = moving;
  parts.state.hidden = !moving;
  parts.more.hidden = view.documents.length >= view.num_documents;
  parts.trouble.textContent = view.trouble;
  parts.trouble.hidden = !view.trouble;
  drawEmbedder(parts.embedder);
  drawTest(parts.test);
  drawList();
}

let drawnCollections = "";

function drawCollections() {
  const { collections, collection } = shown.view;
  const text = JSON.stringify([collections, collection]);
  if (text === drawnCollections) return;
  drawnCollections = text;
  parts.collections.replaceChildren(
    ...collections.map((one) => h("button", { type: "button", class: "collection", "data-id": one.id,
      "aria-pressed": String(one.id === collection), onclick: () => choose(one.id) },
      h("span", {}, one.name), h("span", { class: "count" }, String(one.num_documents)))),
    iconButton("plus", s("new_collection"), create),
    ...(collection ? [iconButton("more", s("collection_menu"), (event) => collectionMenu(event.currentTarget),
      { "aria-haspopup": "menu", "aria-expanded": "false" })] : []));
}

async function create() {
  const name = await asked(s("new_collection_question"), { yes: s("create") });
  if (name) act("create_collection", { name });
}

function collectionMenu(opener) {
  const one = shown.view.collections.find((item) => item.id === shown.collection);
  menu(opener, [
    { label: s("rename"), icon: "pencil", run: async () => {
      const name = await asked(s("rename_question"), { value: one.name, yes: s("rename") });
      if (name && name !== one.name) act("rename_collection", { name });
    } },
    { label: s("test"), icon: "check", run: () => act("test") }, "-",
    { label: s("delete"), icon: "trash", run: async () => {
      const question = s("delete_collection_question", { name: one.name, n: one.num_documents });
      if (await confirmed(question, s("delete"))) act("delete_collection");
    } },
  ]);
}

let drawnDrop = null;

function drawDrop() {
  const isEmpty = !shown.view.num_documents;
  if (isEmpty === drawnDrop) return;
  drawnDrop = isEmpty;
  parts.drop.classList.toggle("large", isEmpty);
  parts.drop.replaceChildren(
    ...(isEmpty ? [icon("books"), h("h2", {}, s("empty")), h("p", { class: "quiet" }, s("empty_hint"))] : []),
    h("div", { class: "line" },
      button([icon("upload"), s("choose_files")], () => pick(), { class: isEmpty ? "button primary" : "button" }),
      button([icon("folder"), s("choose_folder")], () => pick({ isFolder: true })),
      h("span", { class: "quiet" }, s("drop"))));
}

/** A question goes to a new chat that uses this collection: there it can be followed up. */
function ask(question) {
  openConversation("");
  emit("ask", { question, documents: { is_on: true, collection_ids: [shown.collection].filter(Boolean), document_ids: [] } });
}

// --- a document as it is indexed ------------------------------------------------------------------

function showChunks(detail) {
  const close = iconButton("close", s("close"), () => dialog.close());
  const dialog = h("dialog", { class: "chunks", "aria-label": detail.name },
    h("header", { class: "line" }, h("h2", {}, detail.name), close),
    ...detail.pages.map((one) => h("p", { class: one.problem ? "warn" : "quiet" },
      s(one.problem ? `page_${one.problem}` : "page_recognised", { page: one.page }))),
    h("ol", {}, detail.chunks.map((one) => h("li", {}, h("button", { type: "button", class: "chunk", onclick: () => {
      dialog.close();
      openSource([{ document: detail.document, page: one.page, span: one.span, name: detail.name }], 0);
    } }, h("span", { class: "quiet" }, [one.at || `p.${one.page}`, one.title].filter(Boolean).join("　")), one.text)))));
  dialog.addEventListener("close", () => dialog.remove());
  layer().append(dialog);
  dialog.showModal();
}

// --- a document as it was read --------------------------------------------------------------------

/** The text of each page or place, and where something could not be read; a long one bit by bit. */
function showExtracted(told) {
  const open = document.querySelector("dialog.extracted");
  const parts = told.parts.map((part) => h("section", { class: part.is_missing ? "missing" : "" },
    h("h3", {}, h("button", { type: "button", class: "link", onclick: (event) => {
      event.target.closest("dialog").close();
      openSource([{ document: told.document, page: part.page, span: null, name: told.name }], 0);
    } }, part.at)),
    part.remark ? h("p", { class: part.is_missing ? "warn" : "quiet" }, part.remark) : null,
    part.text ? h("pre", {}, part.text) : h("p", { class: "quiet" }, s("extracted_empty"))));
  const next = told.first + told.parts.length;
  const more = next < told.num_parts ? [h("button", { type: "button", class: "button more",
    onclick: () => act("extracted", { document: told.document, first: next }) }, s("show_more"))] : [];
  if (told.first && open) {
    open.querySelector(".more")?.remove();
    return open.append(...parts, ...more);
  }
  const dialog = h("dialog", { class: "chunks extracted", "aria-label": `${s("show_extracted")} ${told.name}` },
    h("header", { class: "line" }, h("h2", {}, told.name), iconButton("close", s("close"), () => dialog.close())),
    told.problem ? h("p", { class: "warn" }, told.problem) : null, ...parts, ...more);
  dialog.addEventListener("close", () => dialog.remove());
  layer().append(dialog);
  dialog.showModal();
}
