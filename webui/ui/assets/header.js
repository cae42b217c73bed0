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

export function panelHead(element) {
  element.replaceChildren(h("div", { class: "panel-head" }, h("h2", {}, t("settings")),
    iconButton("close", t("close"), togglePanel)));
}

function drawModels(models, view) {
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
