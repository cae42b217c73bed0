// Where a message is written: sending, stopping, drafts, and the lines below.
//
// What was typed leaves the box only when the server has stored it, so nothing is lost when
// something fails.

import { emit, fit, h, icon, on, send, state, store, stored, t } from "./core.js";
import { documentChoice, documentSwitch } from "./document_choice.js";
import { showView } from "./navigation.js";

const MAX_DRAFT_CHARS = 100_000;
const DRAFT_DELAY_MS = 300;
const GIVE_UP_MS = 8000;
const WORTH_SUMMARISING_CHARS = 3000; // a question of that length is mostly a text

export function composer(element) {
  const box = h("textarea", { rows: 1, placeholder: t("composer_hint"), "aria-label": t("composer"),
    enterkeyhint: "send", autocomplete: "off" });
  const button = h("button", { class: "send" });
  const meter = h("div", { class: "meter", hidden: true });
  const note = h("p", { class: "note" });
  const warning = h("p", { class: "warning", hidden: true });
  const summarize = h("button", { type: "button", class: "link summarize", hidden: true,
    onclick: () => emit("summarize", box.value) }, t("open_in_summary"));
  const form = h("form", { class: "composer" }, box, button);
  element.replaceChildren(form, h("div", { class: "below" }, documentSwitch(), meter, summarize, note, warning));
  new Composer(form, box, button, summarize);
  on("shown", (view) => drawMeter(meter, view.usage));
  on("note", ({ sentence, isBuiltin }) => note.replaceChildren(sentence, ...(isBuiltin ? [" ",
    h("button", { type: "button", class: "link", onclick: () => showView("models") },
      t("builtin_better"))] : [])));
  on("warning", (sentence) => { warning.textContent = sentence; warning.hidden = !sentence; });
  document.getElementById("boot")?.remove();
}

class Composer {
  #box;
  #button;
  #summarize; // leads a long text to where it is better off
  #pending = null; // what was sent and not yet stored: {nonce, text}
  #draftTimer = 0;
  #of = state.conversation; // whose draft is in the box

  constructor(form, box, button, summarize) {
    this.#box = box;
    this.#button = button;
    this.#summarize = summarize;
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#press(); });
    box.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("input", () => this.#onInput());
    on("run", (request) => this.#run(request));
    on("acknowledged", (view) => this.#onAcknowledged(view));
    on("compose", (text) => this.#compose(text));
    on("shown", (view) => this.#onShown(view));
    on("opening", () => this.#loadDraft());
    on("view", () => fit(box)); // it has no height while another view is shown
    on("live", (view) => this.#onLive(view));
    this.#loadDraft();
    this.#draw();
    if (matchMedia("(hover: hover)").matches) box.focus();
  }

  get #isWriting() {
    return state.lives.has(state.conversation);
  }

  #onKey(event) {
    if (event.key === "Escape" && this.#isWriting) this.#stop();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    if (!this.#isWriting) this.#sendText();
  }

  #press() {
    if (this.#isWriting) this.#stop();
    else this.#sendText();
  }

  #sendText() {
    const text = this.#box.value;
    if (text.trim()) this.#run({ action: "send", text });
  }

  #run(request) {
    if (this.#pending || this.#isWriting) return;
    const nonce = crypto.getRandomValues(new Uint32Array(2)).join("-");
    state.sent = nonce;
    this.#pending = { nonce, text: request.action === "send" ? request.text : "" };
    setTimeout(() => this.#giveUp(nonce), GIVE_UP_MS);
    this.#draw();
    send("run", { conversation: state.conversation, manner: state.manner,
      documents: documentChoice(), ...request, nonce });
  }

  #stop() {
    send("stop_reply", { conversation: state.conversation });
  }

  /** The server has it: only now does it leave the box. */
  #onAcknowledged(view) {
    if (!this.#pending || view.acknowledged !== this.#pending.nonce) return;
    const { text } = this.#pending;
    if (text && this.#box.value.startsWith(text)) this.#setText(this.#box.value.slice(text.length));
    this.#pending = null;
    store(`draft.${this.#of}`, null);
    this.#of = state.conversation;
    this.#saveDraft();
  }

  #onShown(view) {
    if (view.compose) this.#compose(view.compose);
    this.#draw();
  }

  #onLive(view) {
    if (!view.active && view.error) this.#pending = null;
    this.#draw();
  }

  #giveUp(nonce) {
    if (this.#pending?.nonce !== nonce) return;
    this.#pending = null;
    this.#draw();
  }

  #compose(text) {
    const kept = this.#box.value.trim() ? `\n${this.#box.value}` : "";
    this.#setText(text + kept);
    this.#box.focus();
    this.#saveDraft();
  }

  #setText(text) {
    this.#box.value = text;
    fit(this.#box);
    this.#draw();
  }

  #onInput() {
    fit(this.#box);
    this.#draw();
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => this.#saveDraft(), DRAFT_DELAY_MS);
  }

  #saveDraft() {
    const text = this.#box.value;
    store(`draft.${this.#of}`, text && text.length <= MAX_DRAFT_CHARS ? text : null);
  }

  #loadDraft() {
    if (this.#box.value && this.#of !== state.conversation) this.#saveDraft();
    clearTimeout(this.#draftTimer);
    this.#of = state.conversation;
    this.#setText(stored(`draft.${this.#of}`) || "");
  }

  #draw() {
    const stops = this.#isWriting;
    this.#summarize.hidden = this.#box.value.length < WORTH_SUMMARISING_CHARS;
    const label = t(stops ? "stop" : "send");
    this.#button.title = this.#button.ariaLabel = label;
    this.#button.classList.toggle("stop", stops);
    this.#button.disabled = Boolean(this.#pending) || (!stops && !this.#box.value.trim());
    if (this.#button.dataset.shows !== label) this.#button.replaceChildren(icon(stops ? "stop" : "send"));
    this.#button.dataset.shows = label;
  }
}

function drawMeter(meter, usage) {
  meter.hidden = !usage;
  if (!usage) return;
  const bar = h("span", { class: "meter-bar" }, h("i"));
  bar.firstChild.style.width = `${Math.round(usage.fraction * 100)}%`;
  meter.classList.toggle("high", usage.fraction > 0.8);
  meter.title = usage.detail;
  meter.replaceChildren(bar, h("span", {}, usage.label), h("span", {}, usage.warning));
  meter.setAttribute("role", "img");
  meter.setAttribute("aria-label", `${t("context")}: ${usage.label}. ${usage.detail}`);
}
