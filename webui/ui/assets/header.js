// The line above the transcript (title, model, settings, files) and the head of the settings.

import { follow, h, icon, iconButton, listing, on, openConversation, send, state, store, t,
  emit, isPhone } from "./core.js";
import { menu, toast } from "./dialogs.js";
import { toggleInspector } from "./inspector.js";
import { openModels } from "./models.js";
import { openSummary } from "./summary.js";

export function header(element, props, watch) {
  const title = h("h1", { class: "head-title" });
  const models = h("select", { class: "head-model", "aria-label": t("model"),
    onchange: () => send("model", { conversation: state.conversation, model: models.value }) });
  element.replaceChildren(h("header", { class: "head" },
    iconButton("side", t("open_sidebar"), openSide, { class: "icon-button open-side" }),
    title, models,
    iconButton("bullets", t("open_summary"), openSummary),
    iconButton("cube", t("manage_models"), openModels),
    iconButton("eye", t("open_prompt"), toggleInspector, { "aria-controls": "inspector" }),
    iconButton("sliders", t("settings"), togglePanel, { "aria-controls": "panel" }),
    iconButton("more", t("files"), (event) => fileMenu(event.currentTarget),
      { "aria-haspopup": "menu", "aria-expanded": "false" })));
  follow(props, watch, (view) => drawModels(models, view));
  const name = (text) => {
    title.textContent = text;
    document.title = text ? `${text} — Kajogaki` : "Kajogaki";
  };
  on("shown", (view) => name(view.title));
  on("retitled", name);
  on("opening", (id) => { if (!id) name(""); });
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
  emit("note", view.note);
}

function openSide() {
  const root = document.documentElement.classList;
  if (isPhone()) root.toggle("side-open");
  else { root.remove("side-closed"); store("side", null); }
}

function togglePanel() {
  const isOpen = document.documentElement.classList.toggle("panel-open");
  store("panel", isOpen ? "open" : null);
}

function fileMenu(button) {
  const files = (name, label) => [
    { label: `${label} (Markdown)`, icon: "file", href: `/export/${name}.md` },
    { label: `${label} (JSON)`, icon: "file", href: `/export/${name}.json` },
  ];
  menu(button, [
    ...(state.conversation ? [...files(state.conversation, t("export_one")), "-"] : []),
    ...files("all", t("export_all")), "-",
    { label: t("import"), icon: "upload", run: chooseImport },
  ]);
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
