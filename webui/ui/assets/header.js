// The line above the transcript (title, model, settings, files) and the head of the settings.

import { activity } from "./activity.js";
import { follow, h, icon, iconButton, listing, on, openConversation, send, state, store, t,
  emit, isPhone } from "./core.js";
import { confirmed, menu, toast } from "./dialogs.js";
import { toggleInspector } from "./inspector.js";
import { viewTitle } from "./navigation.js";

export function header(element, props, watch) {
  const title = h("h1", { class: "head-title" });
  const models = h("select", { class: "head-model", "aria-label": t("model"),
    onchange: () => send("model", { conversation: state.conversation, model: models.value }) });
  element.replaceChildren(h("header", { class: "head" },
    iconButton("side", t("open_sidebar"), openSide, { class: "icon-button open-side" }),
    title, ...activity(), models,
    iconButton("eye", t("open_prompt"), toggleInspector,
      { class: "icon-button open-prompt", "aria-controls": "inspector" }),
    iconButton("sliders", t("settings"), togglePanel, { "aria-controls": "panel" }),
    iconButton("more", t("files"), (event) => fileMenu(event.currentTarget),
      { "aria-haspopup": "menu", "aria-expanded": "false" })));
  follow(props, watch, (view) => drawModels(models, view));
  const name = (text) => {
    title.textContent = state.title = text;
    nameTab();
  };
  on("shown", (view) => name(view.title));
  on("retitled", name);
  on("opening", (id) => { if (!id) name(""); });
  on("view", nameTab);
}

function nameTab() {
  const title = viewTitle();
  document.title = title ? `${title} — Kajogaki` : "Kajogaki";
}

const KEEP_AFTER_MS = 300; // without a key
const KEPT_SHOWN_MS = 3000;

/** The settings' head; it keeps what is set, however it was entered, and says so. */
export function panelHead(element, props, watch) {
  const kept = h("span", { class: "panel-kept", role: "status" });
  element.replaceChildren(h("div", { class: "panel-head" }, h("h2", {}, t("settings")), kept,
    iconButton("close", t("close"), togglePanel)));
  let clearing = 0;
  follow(props, watch, (news) => {
    if (news.kept !== state.conversation) return;
    kept.textContent = t("settings_kept");
    clearTimeout(clearing);
    clearing = setTimeout(() => { kept.textContent = ""; }, KEPT_SHOWN_MS);
  });
  keepSettings(element.closest("#panel"));
}

/** Typed, pasted, deleted, composed by an input method, or put right by Gradio on leaving. */
function keepSettings(panel) {
  const isSetting = (event) => event.target.closest("#system-prompt, [id^='knob-']");
  let waiting = 0;
  let changed = null; // {conversation} since the box was entered
  const keep = () => {
    clearTimeout(waiting);
    waiting = 0;
    send("settings", changed);
  };
  const keepLater = (event) => {
    if (event.isComposing || !isSetting(event)) return;
    changed = { conversation: state.conversation };
    clearTimeout(waiting);
    waiting = setTimeout(keep, KEEP_AFTER_MS);
  };
  panel.addEventListener("input", keepLater);
  panel.addEventListener("compositionend", keepLater);
  panel.addEventListener("focusout", (event) => {
    if (!changed || !isSetting(event)) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => { keep(); changed = null; }); // after Gradio's own handlers
  });
  on("opening", () => {
    if (waiting) keep();
    changed = null;
  });
}

function drawModels(models, view) {
  state.model = view.current;
  models.replaceChildren(...view.models.map((model) => h("option", { value: model.id,
    disabled: !model.usable, selected: model.id === view.current }, model.name)));
  models.hidden = !view.models.length;
  models.title = models.selectedOptions[0]?.textContent || "";
  emit("note", { sentence: view.note, isBuiltin: view.is_builtin });
}

function openSide() {
  const root = document.documentElement.classList;
  if (isPhone()) root.toggle("side-open");
  else { root.remove("side-closed"); store("side", null); }
}

function togglePanel() {
  const isOpen = document.documentElement.classList.toggle("panel-open");
  nameKnobs();
  store("panel", isOpen ? "open" : null);
  if (isOpen) emit("pane", "panel");
}

/** Gradio names its sliders' parts in English only. */
function nameKnobs() {
  for (const part of document.querySelectorAll("#panel input[aria-label]")) {
    part.ariaLabel = part.ariaLabel.replace(/^(number input|range slider) for /, "");
  }
}

on("edit_system", () => {
  if (!document.documentElement.classList.contains("panel-open")) togglePanel();
  document.querySelector("#system-prompt textarea").focus();
});

on("pane", (name) => { // one at a time: two beside the chat would leave it no room
  if (name !== "panel" && document.documentElement.classList.contains("panel-open")) togglePanel();
});

function fileMenu(button) {
  const files = (name, label) => [
    { label: `${label} (Markdown)`, icon: "file", href: `/export/${name}.md` },
    { label: `${label} (JSON)`, icon: "file", href: `/export/${name}.json` },
  ];
  menu(button, [
    ...(isPhone() ? [{ label: t("open_prompt"), icon: "eye", run: toggleInspector }, "-"] : []),
    ...(state.conversation ? [...files(state.conversation, t("export_one")), "-"] : []),
    ...files("all", t("export_all")), "-",
    { label: t("import"), icon: "upload", run: chooseImport }, "-",
    { label: t("purge"), icon: "trash", run: purge },
  ]);
}

/** What was deleted leaves the disk now, not in some minutes. */
async function purge() {
  if (!await confirmed(t("purge_question"), t("purge_yes"))) return;
  try {
    const answer = await fetch("/purge", { method: "POST", body: "{}",
      headers: { "content-type": "application/json" } });
    const result = await answer.json();
    if (!answer.ok) throw new Error(typeof result.error === "string" ? result.error : t("unexpected"));
    toast(t("purged", { n: result.purged }));
  } catch (error) {
    toast(error.message || t("unexpected"), { isError: true });
  }
}

function chooseImport() {
  const input = h("input", { type: "file", accept: ".json,application/json" });
  input.addEventListener("change", () => input.files[0] && importFile(input.files[0]));
  input.click();
}

async function importFile(file) {
  try {
    const answer = await fetch("/import", { method: "POST", body: file,
      headers: { "content-type": "application/json" } });
    const result = await answer.json();
    if (!answer.ok) throw new Error(typeof result.error === "string" ? result.error : t("unexpected"));
    toast(t("imported", { n: result.conversations.length }));
    send("search", listing());
    if (result.conversations.length === 1) openConversation(result.conversations[0]);
  } catch (error) {
    toast(error.message || t("unexpected"), { isError: true });
  }
}
