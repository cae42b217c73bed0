// The quiet line under a message: statistics, versions, copy, edit, regenerate, undo, delete.

import { copyText } from "./clipboard.js";
import { emit, fit, h, icon, iconButton, t } from "./core.js";

const COPIED_MS = 1500;
const WORTH_SUMMARISING_CHARS = 1000;

export function tools(message, { isLast, isBusy }, actions) {
  const isUser = message.role === "user";
  const tool = (name, symbol, label, run) =>
    iconButton(symbol, label, run, { "data-tool": name, disabled: isBusy });
  return h("footer", { class: "tools" },
    message.num_versions > 1 ? pager(message, isBusy, actions) : null,
    message.text ? copyTool(() => message.text) : null,
    message.text.length >= WORTH_SUMMARISING_CHARS ? tool("summarize", "bullets", t("open_in_summary"),
      () => emit("summarize", message.text)) : null,
    isUser ? tool("edit", "pencil", t("edit"), actions.edit) : null,
    !isUser && isLast ? tool("retry", "retry", t("regenerate"), actions.retry) : null,
    isLast ? tool("undo", "undo", t("undo"), actions.undo) : null,
    tool("delete", "trash", t("delete"), actions.remove),
    message.model ? h("span", { class: "written-by", title: t("written_by", { model: message.model }) }, message.model) : null,
    message.statistics.length ? h("span", { class: "statistics" },
      message.statistics.map((part) => h("span", {}, part))) : null);
}

/** The box in which a question is changed. Enter sends, Shift+Enter breaks the line, Esc leaves. */
export function editor(text, { onSave, onCancel }) {
  const box = h("textarea", { "aria-label": t("edit"), rows: 1, oninput: () => fit(box),
    onfocus: () => fit(box),
    onkeydown: (event) => {
      if (event.key === "Escape") onCancel();
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      save();
    } });
  const save = () => { if (box.value.trim()) onSave(box.value); };
  box.value = text;
  return h("div", { class: "editor" }, box, h("div", { class: "editor-buttons" },
    h("button", { type: "button", onclick: onCancel }, t("cancel")),
    h("button", { type: "button", class: "primary", onclick: save }, t("send"))));
}

function pager(message, isBusy, actions) {
  const { version, num_versions: num } = message;
  return h("span", { class: "pager", role: "group", "aria-label": t("versions") },
    iconButton("left", t("older_version"), () => actions.version(version - 1),
      { disabled: isBusy || version <= 1 }),
    h("span", {}, `${version} / ${num}`),
    iconButton("right", t("newer_version"), () => actions.version(version + 1),
      { disabled: isBusy || version >= num }));
}

function copyTool(textOf) {
  return iconButton("copy", t("copy"), (event) => copyFrom(event.currentTarget, textOf()),
    { "data-tool": "copy" });
}

// Copy buttons of code blocks come as HTML from the server; one listener serves them all.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-copy-code]");
  if (button) copyFrom(button, button.closest("figure").querySelector("pre").textContent);
});

async function copyFrom(button, text) {
  await copyText(text);
  button.replaceChildren(icon("check"));
  setTimeout(() => button.replaceChildren(icon("copy")), COPIED_MS);
}
