// Small things in front of the page: toasts, a question with two answers, menus.

import { follow, h, icon, t } from "./core.js";

const TOAST_MS = 7000;

/** A sentence at the bottom; `action` is {label, run}. Errors stay until closed. */
export function toast(sentence, { action, isError = false } = {}) {
  const box = h("div", { class: isError ? "toast bad" : "toast", role: isError ? "alert" : "status" },
    h("span", {}, sentence));
  const close = () => box.remove();
  if (action) {
    box.append(h("button", { type: "button", class: "toast-action",
      onclick: () => { close(); action.run(); } }, action.label));
  }
  box.append(h("button", { type: "button", class: "icon-button", "aria-label": t("close"),
    onclick: close }, icon("close")));
  layer("toasts").append(box);
  if (!isError) setTimeout(close, TOAST_MS);
}

/** What went wrong on the server, from the component that tells it. */
export function problem(element, props, watch) {
  // An event without a problem can leave a value without a sentence.
  follow(props, watch, ({ sentence }) => sentence && toast(sentence, { isError: true }));
}

/** Gradio tells of a lost connection in English only; its toasts are hidden and told by ours. */
export function watchConnection() {
  let told = false;
  new MutationObserver(() => {
    const theirs = document.querySelector(".toast-wrap > *");
    if (theirs && !told) {
      const isLost = theirs.textContent.includes("Connection");
      toast(t(isLost ? "connection_lost" : "unexpected"), { isError: true });
    }
    told = Boolean(theirs);
  }).observe(document.body, { childList: true, subtree: true });
}

/** Where things in front of the page live; `kind` names a box of their own in it. */
export function layer(kind) {
  let front = document.getElementById("front");
  if (!front) document.body.append(front = h("div", { id: "front" }));
  if (!kind) return front;
  return front.querySelector(`.${kind}`) || front.appendChild(h("div", { class: kind }));
}

/** Whether the reader says yes. `detail` is an element that helps to decide. */
export function confirmed(question, yes, { detail = null, isDanger = true } = {}) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "question", "aria-label": question },
      h("p", {}, question), detail,
      h("div", { class: "question-buttons" },
        h("button", { type: "button", onclick: () => dialog.close("") }, t("cancel")),
        h("button", { type: "button", class: isDanger ? "danger" : "primary",
          onclick: () => dialog.close("yes") }, yes)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    layer().append(dialog);
    dialog.showModal();
  });
}

/** What the reader types; "" when they change their mind. */
export function asked(question, { value = "", yes }) {
  return new Promise((resolve) => {
    const field = h("input", { type: "text", "aria-label": question, autocomplete: "off", maxlength: "200" });
    field.value = value;
    const dialog = h("dialog", { class: "question", "aria-label": question },
      h("form", { method: "dialog" }, h("p", {}, question), field,
        h("div", { class: "question-buttons" },
          h("button", { type: "button", onclick: () => dialog.close("") }, t("cancel")),
          h("button", { type: "submit", value: "yes", class: "primary" }, yes))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? field.value.trim() : "");
    });
    layer().append(dialog);
    dialog.showModal();
    field.select();
  });
}

/** Open a menu at `button`; items are {label, icon, href | run, checked} or "-". */
export function menu(button, items) {
  const open = document.querySelector(".menu");
  if (open) {
    open.close();
    if (open.opener === button) return;
  }
  const box = h("div", { class: "menu", role: "menu" }, items.map((item) => entry(item, close)));
  const outside = (event) => { if (!box.contains(event.target)) close(); };
  const keys = (event) => onMenuKey(event, box, close);
  function close() {
    box.remove();
    removeEventListener("pointerdown", outside, true);
    button.setAttribute("aria-expanded", "false");
  }
  Object.assign(box, { opener: button, close: () => { close(); button.focus(); } });
  box.addEventListener("keydown", keys);
  layer().append(box);
  place(box, button);
  button.setAttribute("aria-expanded", "true");
  entriesOf(box)[0]?.focus();
  setTimeout(() => addEventListener("pointerdown", outside, true));
}

function entry(item, close) {
  if (item === "-") return h("hr");
  const content = [icon(item.icon), h("span", {}, item.label)];
  if (item.href) {
    return h("a", { role: "menuitem", href: item.href, download: "", onclick: close }, content);
  }
  const isChoice = item.checked !== undefined;
  if (item.checked) content.push(icon("check"));
  return h("button", { type: "button", role: isChoice ? "menuitemradio" : "menuitem", lang: item.lang,
    "aria-checked": isChoice ? String(item.checked) : null,
    onclick: () => { close(); item.run(); } }, content);
}

const entriesOf = (box) => [...box.querySelectorAll("[role^=menuitem]")];

function onMenuKey(event, box, close) {
  const entries = entriesOf(box);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") { close(); box.opener.focus(); }
  if (!step) return;
  event.preventDefault();
  const index = entries.indexOf(document.activeElement);
  entries[(index + step + entries.length) % entries.length].focus();
}

function place(box, button) {
  const at = button.getBoundingClientRect();
  const left = Math.min(at.left, innerWidth - box.offsetWidth - 8);
  const below = at.bottom + 6;
  const top = below + box.offsetHeight > innerHeight ? at.top - box.offsetHeight - 6 : below;
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${Math.max(8, top)}px`;
}
