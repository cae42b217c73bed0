// 「資料を使う」 beside the composer: whether, and from which documents, this conversation answers.

import { emit, h, icon, on, send, state, store, stored, t } from "./core.js";
import { layer } from "./dialogs.js";
import { act } from "./documents_core.js";
import { showView } from "./navigation.js";

const OFF = { is_on: false, collection_ids: [], document_ids: [] };

let choice = atFirst();
let offered = null; // collections with their documents, once they have been asked for
let asksFor = ""; // what they were asked for: "name" of what is chosen, "dialog"
let parts = null;

/** A new conversation begins without documents; which ones were chosen last is remembered. */
function atFirst() {
  try { return { ...OFF, ...JSON.parse(stored("documents.choice") || "{}"), is_on: false }; } catch { return OFF; }
}

/** What goes with the first message of a conversation. */
export const documentChoice = () => choice;

export function documentSwitch() {
  const toggle = h("button", { type: "button", class: "use", onclick: () => change({ is_on: !choice.is_on }) },
    icon("books"), h("span", {}, t("use_documents")));
  const which = h("button", { type: "button", class: "which", "aria-haspopup": "dialog", onclick: () => ask("dialog") });
  const node = h("div", { class: "documents-switch" }, toggle, which);
  parts = { toggle, which, node };
  draw();
  return node;
}

on("opening", (id) => { if (!id) { choice = atFirst(); draw(); } });
on("shown", (view) => { if (view.conversation) { choice = view.documents; draw(); } });
on("choices", (collections) => { 
  const isForDialog = asksFor === "dialog";
  offered = collections;
  asksFor = "";
  draw();
  if (isForDialog) choose();
});
on("ask", ({ question, documents }) => {
  choice = documents;
  draw();
  emit("run", { action: "send", text: question });
});

function ask(what) {
  asksFor = what;
  act("choices");
}

function change(changes) {
  choice = { ...choice, ...changes };
  store("documents.choice", JSON.stringify(choice));
  if (state.conversation) send("documents", { conversation: state.conversation, documents: choice });
  draw();
}

const isEverything = () => !choice.collection_ids.length && !choice.document_ids.length;

function draw() {
  if (!parts) return;
  parts.node.classList.toggle("on", choice.is_on);
  parts.toggle.setAttribute("aria-pressed", String(choice.is_on));
  parts.which.hidden = !choice.is_on;
  const label = named();
  parts.which.replaceChildren(h("span", {}, label), icon("chevron"));
  parts.which.setAttribute("aria-label", t("which_documents", { now: label }));
}

function named() {
  if (isEverything()) return t("all_documents");
  const count = choice.collection_ids.length + choice.document_ids.length;
  if (count === 1 && !offered && choice.is_on && !asksFor) ask("name");
  if (count === 1 && offered) {
    const all = offered.flatMap((one) => [one, ...one.documents]);
    const [id] = [...choice.collection_ids, ...choice.document_ids];
    const found = all.find((one) => one.id === id);
    if (found) return found.name;
  }
  return t("some_documents", { n: count });
}

function choose() {
  const everything = box(t("all_documents"), isEverything(), (isOn) => {
    if (isOn) change({ collection_ids: [], document_ids: [] });
    refresh();
  });
  const list = h("div", { class: "choices" }, everything, offered.map(collection));
  const empty = h("p", { class: "quiet" }, t("no_documents_yet"));
  const dialog = h("dialog", { class: "question choose-documents", "aria-label": t("choose_documents") },
    h("h2", {}, t("choose_documents")), offered.length ? list : empty,
    h("div", { class: "question-buttons" },
      h("button", { type: "button", onclick: () => { dialog.close(); showView("documents"); } }, t("manage_documents")),
      h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, t("close"))));
  const refresh = () => { // what is chosen by another box is told by this one
    everything.firstChild.checked = isEverything();
    for (const one of dialog.querySelectorAll("input[data-kind]")) {
      one.checked = choice[one.dataset.kind].includes(one.dataset.id);
    }
  };
  dialog.addEventListener("close", () => { dialog.remove(); parts.which.focus(); });
  dialog.addEventListener("change", refresh);
  layer().append(dialog);
  dialog.showModal();
}

function collection(one) {
  return h("details", { open: one.documents.some((item) => choice.document_ids.includes(item.id)) },
    h("summary", {}, member("collection_ids", one, `${one.name}（${one.documents.length}）`)),
    one.documents.map((item) => member("document_ids", item, item.name)));
}

function member(kind, one, label) {
  const made = box(label, choice[kind].includes(one.id), (isOn) => {
    const others = choice[kind].filter((id) => id !== one.id);
    change({ [kind]: isOn ? [...others, one.id] : others });
  });
  Object.assign(made.firstChild.dataset, { kind, id: one.id });
  return made;
}

function box(label, isOn, onChange) {
  const input = h("input", { type: "checkbox", checked: isOn });
  input.addEventListener("change", () => onChange(input.checked));
  return h("label", { class: "choice" }, input, h("span", {}, label));
}
