// What the parts of the モデル view share: what is shown, its sentences, the way to the server.

import { h } from "./core.js";

const GB = 1e9;

export const page = {
  view: null, // the server's last answer
  strings: null,
  root: null,
  trigger: null, // Gradio's
  draw: () => {}, // models.js
};
const opened = new Set(); // details that the reader opened

export function s(key, values = {}) {
  const template = page.strings?.[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export function act(action, data = {}) {
  if (page.trigger) page.trigger("models", { action, first: page.strings === null, ...data });
}

export const gb = (bytes) => (bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / GB).toFixed(2)} GB`);

export const button = (label, onclick, properties = {}) =>
  h("button", { type: "button", class: "button", onclick, "data-key": label, ...properties }, label);

/** Details that stay open when their part is drawn again. */
export function disclosure(id, summary, ...children) {
  const details = h("details", { open: opened.has(id),
    ontoggle: () => opened[details.open ? "add" : "delete"](id) }, h("summary", {}, summary), ...children);
  return details;
}

export function fitBadge(fit) {
  return fit ? h("span", { class: `badge ${fit}` }, s(`fit_${fit}`)) : null;
}

export function params(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : `${Math.round(count / 1e6)}M`;
}
