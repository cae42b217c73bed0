// The form of the 要約 view: text or files in, and how they are to be summarised.
//
// Built once: what is being typed is never redrawn, and is there again after a reload.

import { h, icon, iconButton, store, stored } from "./core.js";
import { toast } from "./dialogs.js";
import { request } from "./server.js";
import { button, s } from "./summary_core.js";

const MAX_DRAFT_CHARS = 1_000_000;
const DRAFT_DELAY_MS = 300;
const COUNTS = [0, ...Array.from({ length: 20 }, (_, i) => i + 1)];
const OPTIONS = {
  mode: ["abstract", "verbatim"],
  num_bullets: COUNTS,
  granularity: ["terse", "standard", "detailed"],
  style: ["standard", "executive", "beginner", "minutes"],
  language: ["ja", "en"],
};
const USUAL = { mode: "abstract", num_bullets: 0, granularity: "standard", style: "standard", language: "ja" };

/** The choices of one summary. `kept` is called with a name and value when one is chosen. */
export class Options {
  #models;

  constructor({ models, model, values, kept = () => {} }) {
    this.#models = models;
    const selects = Object.keys(OPTIONS).map((name) => this.#select(name, OPTIONS[name].map((value) =>
      [String(value), name === "num_bullets" ? (value ? s("count", { n: value }) : s("auto")) : s(`${name}_${value}`)]),
    String(values[name] ?? USUAL[name]), kept));
    this.element = h("div", { class: "options" }, this.#select("model",
      models.map((one) => [one.id, one.name]), model, kept), selects);
  }

  get isBuiltin() {
    return Boolean(this.#models.find((one) => one.id === this.select("model").value)?.is_builtin);
  }

  select(name) {
    return this.element.querySelector(`select[name=${name}]`);
  }

  /** As POST /summaries/jobs takes them. */
  get values() {
    const { model, ...options } = Object.fromEntries(
      [...this.element.querySelectorAll("select")].map((one) => [one.name, one.value]));
    return { model, options: { ...options, num_bullets: Number(options.num_bullets) } };
  }

  #select(name, choices, chosen, kept) {
    const select = h("select", { class: "button", name, "aria-label": s(name),
      onchange: () => kept(name, select.value) }, choices.map(([value, label]) =>
      h("option", { value, selected: value === chosen }, label)));
    return h("label", {}, h("span", {}, s(name)), select);
  }
}

export class Form {
  #box;
  #files;
  #place; // of the options
  #begin;
  #draftTimer = 0;
  #num_uploading = 0;
  #isRunning = false;
  #options = null;
  #actions;

  /** `actions`: start({text, model, options}), reload() after the uploads have changed. */
  constructor(actions) {
    this.#actions = actions;
    this.#box = h("textarea", { rows: 9, placeholder: s("paste"), "aria-label": s("paste"),
      oninput: () => this.#keepDraft() });
    this.#box.value = stored("summary.draft") || "";
    const picker = h("input", { type: "file", multiple: true, hidden: true,
      accept: s("kinds"),
      onchange: () => { this.#upload([...picker.files]); picker.value = ""; } });
    this.#files = h("ul", { class: "files" });
    this.#place = h("div");
    this.#begin = button(s("start"), () => this.#start(), { class: "button primary" });
    this.element = h("section", { class: "form" },
      h("div", { class: "drop" }, this.#box, this.#files,
        h("div", { class: "line" }, button([icon("upload"), s("choose")], () => picker.click()),
          h("span", { class: "quiet" }, s("drop")), picker)),
      this.#place,
      h("div", { class: "line begin" }, h("span", { class: "quiet", role: "status" }),
        h("span", { class: "buttons" }, this.#begin)));
    this.#takesDrops();
    addEventListener("pagehide", () => this.#saveDraft()); // sooner than the timer
  }

  draw(table, isRunning) {
    this.#isRunning = isRunning;
    this.#drawOptions(table);
    this.#files.replaceChildren(...table.sources.map((one) => h("li", {}, icon("file"), h("span", {}, one.name),
      h("span", { class: "quiet" }, s("chars", { n: one.chars.toLocaleString() })),
      one.left_out ? h("span", { class: "warn" }, s("left_out", { n: one.left_out })) : null,
      iconButton("close", s("remove"), () => this.#remove(one.token)))));
    this.#drawButton();
  }

  /** `text` instead of what is in the box, which can be had back. */
  setText(text) {
    const before = this.#box.value;
    this.#box.value = text;
    this.#keepDraft();
    this.#box.focus();
    this.#box.setSelectionRange(0, 0);
    this.#box.scrollTop = 0;
    if (before.trim() && before !== text) {
      toast(s("draft_replaced"), { action: { label: s("restore"), run: () => this.setText(before) } });
    }
  }

  #start() {
    if (!this.#box.value.trim() && !this.#files.children.length) { this.#box.focus(); return; }
    this.#actions.start({ text: this.#box.value, ...this.#options.values });
  }

  #keepDraft() {
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => this.#saveDraft(), DRAFT_DELAY_MS);
  }

  #saveDraft() {
    const text = this.#box.value;
    store("summary.draft", text && text.length <= MAX_DRAFT_CHARS ? text : null);
  }

  #drawOptions(table) {
    const signature = JSON.stringify([table.models, table.model]);
    if (this.#place.dataset.signature === signature) return;
    this.#place.dataset.signature = signature;
    const kept = (name, value) => { store(`summary.${name}`, value); this.#useUsualMode(); };
    const values = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, stored(`summary.${name}`) ?? undefined]));
    const wanted = stored("summary.model");
    const model = table.models.some((one) => one.id === wanted) ? wanted : table.model;
    this.#options = new Options({ models: table.models, model, values, kept });
    this.#place.replaceChildren(this.#options.element);
    this.#useUsualMode();
  }

  /** The small built-in model chooses sentences better than it writes. */
  #useUsualMode() {
    if (stored("summary.mode")) return;
    this.#options.select("mode").value = this.#options.isBuiltin ? "verbatim" : "abstract";
  }

  #drawButton() {
    this.#begin.disabled = this.#isRunning || this.#num_uploading > 0;
    this.element.querySelector(".begin .quiet").textContent = this.#num_uploading ? s("uploading") : "";
  }

  /** Files become sources; a dragged text goes into the box: where it is dropped, or at its end. */
  #takesDrops() {
    const hasFiles = (event) => [...event.dataTransfer.types].includes("Files");
    const isOurs = (event) => hasFiles(event) || event.target !== this.#box;
    this.element.addEventListener("dragover", (event) => {
      if (isOurs(event)) event.preventDefault();
      this.element.classList.add("over");
    });
    this.element.addEventListener("dragleave", () => this.element.classList.remove("over"));
    this.element.addEventListener("drop", (event) => {
      this.element.classList.remove("over");
      if (!isOurs(event)) return; // the browser puts it at the place of the drop
      event.preventDefault();
      if (hasFiles(event)) this.#upload([...event.dataTransfer.files]);
      else this.#append(event.dataTransfer.getData("text/plain"));
    });
  }

  #append(text) {
    if (!text) return;
    const before = this.#box.value;
    this.#box.value = before && !before.endsWith("\n") ? `${before}\n${text}` : before + text;
    this.#keepDraft();
    this.#box.focus();
  }

  async #remove(token) {
    try {
      await request("DELETE", `/summaries/files/${encodeURIComponent(token)}`);
    } catch (error) {
      toast(error.message, { isError: true });
    }
    this.#actions.reload();
  }

  async #upload(files) {
    for (const file of files) await this.#uploadOne(file);
    this.#actions.reload();
  }

  async #uploadOne(file, password = "") {
    this.#num_uploading += 1;
    this.#drawButton();
    try {
      const answer = await fetch("/summaries/files", { method: "POST", body: file, headers: {
        "content-type": "application/octet-stream", "x-file-name": encodeURIComponent(file.name),
        "x-password": encodeURIComponent(password) } });
      const told = await answer.json();
      if (told.password) {
        const given = await askedPassword(`${file.name}: ${told.error}`);
        if (given) await this.#uploadOne(file, given);
      } else if (!answer.ok) toast(`${file.name}: ${told.error || s("failed")}`, { isError: true });
    } catch {
      toast(`${file.name}: ${s("failed")}`, { isError: true });
    } finally {
      this.#num_uploading -= 1;
      this.#drawButton();
    }
  }
}

function askedPassword(question) {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", "aria-label": s("password"), autocomplete: "off" });
    const dialog = h("dialog", { class: "summary-question", "aria-label": question },
      h("form", { method: "dialog" }, h("p", {}, question), field,
        h("div", { class: "question-buttons" }, h("button", { type: "submit", value: "ok" }, "OK"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "ok" ? field.value : "");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
