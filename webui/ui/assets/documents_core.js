// What the modules of the 資料 view share: its strings, what it shows, the way to its handler.

export const shown = {
  view: null, // the last whole answer
  collection: window.kajogaki.stored("documents.collection") || "",
  size: undefined, // of the list; the server's default until more is asked for
};

let trigger = null;
let strings = null;
const waiting = [];

export function s(key, values = {}) {
  const template = strings?.[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Strings come with the first answer of either component. */
export function learn(answer) {
  if (answer.strings) strings = answer.strings;
  return strings !== null;
}

export const isFirst = () => strings === null;

/** Gradio's side: the bridge component is there. */
export function documentsBridge(gradioTrigger) {
  trigger = gradioTrigger;
  for (const [action, data] of waiting.splice(0)) act(action, data);
}

/** Ask the handler (documents_tab.py) to do `action`; the view or a part of it comes back. */
export function act(action, data = {}) {
  if (!trigger) waiting.push([action, data]);
  else {
    trigger("documents", { action, first: isFirst(), collection: shown.collection,
      ...(shown.size && { size: shown.size }), ...data });
  }
}

/** Python counts code points, the browser UTF-16 units: pieces of `text` cut at code points. */
export function cut(text, ...places) {
  const chars = [...text];
  return [0, ...places].map((start, index) =>
    chars.slice(start, index < places.length ? places[index] : undefined).join(""));
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${Math.round(count / 1e3)} KB` : `${(count / 1e6).toFixed(1)} MB`;
}

export function time(seconds) {
  if (seconds < 90) return s("seconds", { n: Math.max(1, Math.round(seconds)) });
  return s("minutes", { n: Math.round(seconds / 60) });
}
