// What the parts of the 要約 view share: its strings, buttons, times.

import { h } from "./core.js";

let strings = null;

export const hasStrings = () => strings !== null;

export function setStrings(given) {
  strings = given;
}

/** The string `key` of [summary] ui_…, with {name} places filled. */
export function s(key, values = {}) {
  const template = strings?.[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export const button = (label, onclick, properties = {}) =>
  h("button", { type: "button", class: "button", onclick, ...properties }, label);

export function time(seconds) {
  if (seconds < 90) return s("seconds", { n: Math.max(1, Math.round(seconds)) });
  return seconds < 5400 ? s("minutes", { n: Math.round(seconds / 60) })
    : s("hours", { n: (seconds / 3600).toFixed(1) });
}
