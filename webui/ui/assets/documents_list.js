// The documents of a collection: what each is, how far it is read, what is wrong with it.
//
// A row is drawn again only when something other than its progress has changed, so that nothing
// is replaced under the reader's finger or while a password is typed.

import { h, icon, iconButton } from "./core.js";
import { act, bytes, s, shown, time } from "./documents_core.js";
import { pick } from "./documents_upload.js";
import { asked, confirmed, menu } from "./dialogs.js";
import { openSource } from "./source.js";

const rows = new Map(); // id -> {signature, node, progress}
let list = null;

export function documentList() {
  list = h("ul", { class: "documents" });
  return list;
}

export function drawList() {
  const { documents, can_recognise: canRecognise } = shown.view;
  const wanted = documents.map((one) => row(one, canRecognise));
  const ids = new Set(documents.map((one) => one.id));
  for (const id of [...rows.keys()]) if (!ids.has(id)) rows.delete(id);
  wanted.forEach((node, index) => {
    if (list.childNodes[index] !== node) list.insertBefore(node, list.childNodes[index] || null);
  });
  while (list.childNodes.length > wanted.length) list.lastChild.remove();
}

function row(one, canRecognise) {
  const signature = JSON.stringify([{ ...one, progress: isRead(one) }, canRecognise]);
  let known = rows.get(one.id);
  if (known?.signature !== signature) {
    const progress = h("div", { class: "progress" });
    known = { signature, progress, node: rowNode(one, canRecognise, progress) };
    rows.set(one.id, known);
  }
  drawProgress(known.progress, one.progress);
  return known.node;
}

function rowNode(one, canRecognise, progress) {
  const isReady = one.status === "ready";
  const open = () => openSource([{ document: one.id, page: 1, name: one.name }], 0);
  return h("li", { class: `document ${one.status}`, "data-id": one.id },
    h("div", { class: "line" }, icon("file"),
      h("button", { type: "button", class: "name", disabled: !one.num_pages, onclick: open }, one.name),
      h("span", { class: "quiet facts" }, facts(one)),
      iconButton("more", s("more", { name: one.name }), (event) => moreMenu(event.currentTarget, one, isReady),
        { "aria-haspopup": "menu", "aria-expanded": "false" })),
    progress, ...trouble(one, canRecognise));
}

/** Not while it is read; what is embedded has been read. */
const isRead = (one) => !one.progress || one.progress.stage === "embedding";

function facts(one) {
  return [one.kind ? one.kind.toUpperCase() : "", one.has_pages ? s("pages", { n: one.num_pages.toLocaleString() }) : "",
    one.num_chunks ? s("chunks", { n: one.num_chunks.toLocaleString() }) : "", bytes(one.num_bytes), one.added]
    .filter(Boolean).join("　");
}

function moreMenu(button, one, isReady) {
  menu(button, [
    ...(isReady ? [{ label: s("show_extracted"), icon: "eye", run: () => act("extracted", { document: one.id, first: 0 }) }] : []),
    ...(isReady ? [{ label: s("show_chunks"), icon: "bullets", run: () => act("chunks", { document: one.id }) }] : []),
    { label: s("original"), icon: "external", href: `/documents/${one.id}/file` }, "-",
    { label: s("rename"), icon: "pencil", run: () => rename(one) },
    { label: s("replace"), icon: "upload", run: () => pick({ replaces: one.id }) },
    ...(isRead(one) ? [{ label: s("read_again"), icon: "retry", run: () => act("retry", { document: one.id }) }] : []),
    "-", { label: s("delete"), icon: "trash", run: () => remove(one) },
  ]);
}

async function rename(one) {
  const name = await asked(s("rename_question"), { value: one.name, yes: s("rename") });
  if (name && name !== one.name) act("rename", { document: one.id, name });
}

async function remove(one) {
  if (await confirmed(s("delete_question", { name: one.name }), s("delete"))) act("delete", { document: one.id });
}

// --- how far it is --------------------------------------------------------------------------------

function drawProgress(place, progress) {
  place.hidden = !progress;
  if (!progress) return;
  if (!place.firstChild) {
    place.append(h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i")),
      h("span", { class: "quiet words" }),
      h("button", { type: "button", class: "button small", onclick: () => act("cancel", {
        document: place.closest("[data-id]").dataset.id }) }, s("cancel")));
  }
  place.querySelector("button").hidden = progress.stage === "embedding"; // it costs nobody anything
  const percent = progress.total ? Math.round(100 * progress.done / progress.total) : 0;
  const bar = place.querySelector(".bar");
  bar.classList.toggle("waiting", !progress.total);
  bar.setAttribute("aria-valuenow", percent);
  bar.setAttribute("aria-label", s(`stage_${progress.stage}`));
  bar.firstChild.style.width = `${percent}%`;
  place.querySelector(".words").textContent = progressText(progress);
}

export function progressText(progress) {
  const unit = progress.stage === "embedding" ? "per_s_chunks" : "per_s_pages";
  return [s(`stage_${progress.stage}`),
    progress.total ? `${progress.done.toLocaleString()} / ${progress.total.toLocaleString()}` : "",
    progress.total && progress.per_s ? s(unit, { n: progress.per_s }) : "",
    progress.total && progress.eta_s > 0 ? s("left", { time: time(progress.eta_s) }) : ""].filter(Boolean).join("　");
}

// --- what is wrong --------------------------------------------------------------------------------

function trouble(one, canRecognise) {
  if (!one.problem || !isRead(one)) return one.replaces ? [h("p", { class: "quiet" }, s("replacing"))] : [];
  const sentence = h("p", { class: one.status === "failed" ? "bad" : "warn" }, one.problem);
  if (one.needs_password) return [sentence, passwordForm(one)];
  const buttons = [];
  if (one.is_scan && canRecognise) buttons.push(button("recognise", one, "primary"));
  if (one.can_retry) buttons.push(button("retry", one));
  const hint = one.is_scan && !canRecognise ? [h("p", { class: "quiet" }, s("ocr_hint"))] : [];
  return [sentence, ...hint, ...(buttons.length ? [h("p", { class: "buttons" }, buttons)] : [])];
}

function button(action, one, extra = "") {
  return h("button", { type: "button", class: `button small ${extra}`, onclick: () => act(action, { document: one.id }) },
    s(action));
}

export function passwordForm(one) {
  const field = h("input", { type: "password", autocomplete: "off", "aria-label": s("password_of", { name: one.name }),
    placeholder: s("password") });
  return h("form", { class: "password", onsubmit: (event) => {
    event.preventDefault();
    if (field.value) act("retry", { document: one.id, password: field.value });
  } }, icon("lock"), field, h("button", { type: "submit", class: "button small primary" }, s("unlock")));
}
