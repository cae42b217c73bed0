// What every module shares: the page's state, elements, strings, and the way to the server.

const app = window.kajogaki;

/** What this tab shows. `conversation` is "" for one that has not begun. */
export const state = {
  conversation: new URLSearchParams(location.search).get("chat") || "",
  title: "",
  manner: {}, // think or not, the format's variables: of a conversation that has not begun
  view: "chat", // navigation.js
  query: "",
  size: undefined, // of the list; the server's default until more is asked for
  turns: undefined,
  lives: new Map(), // conversation -> the answer being written in it
};

export const { stored, store, language } = app;

/** The string `key` of [ui], with {name} places filled. */
export function t(key, values = {}) {
  const template = app.strings[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** An element. Text children become text nodes, so nothing given here is ever parsed as HTML. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const ICONS = {
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  pencil: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  retry: "M20 11a8 8 0 1 0-2.3 6.7M20 5v6h-6",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  side: "M4 5h16v14H4zM9.5 5v14",
  sliders: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6L6 18",
  chevron: "M7 10l5 5 5-5",
  down: "M12 5v14M6 13l6 6 6-6",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M5.6 18.4l1-1M17.4 6.6l1-1",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3.5 9.5h17M3.5 14.5h17M12 3c-5 5.5-5 12.5 0 18 5-5.5 5-12.5 0-18z",
  bubble: "M4 5.5h16v11h-8.5L7 20.5v-4H4z",
  bullets: "M5 6h.01M5 12h.01M5 18h.01M9.5 6H20M9.5 12H20M9.5 18h7",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  exit: "M14 4H5v16h9M10 12h10M16.5 8.5L20 12l-3.5 3.5",
  books: "M5 4h4v16H5zM9 4h4v16H9zM13.5 5l3.9-1 4 15.4-3.9 1z",
  folder: "M3.5 6h6l2 2.5h9v10.5h-17z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  external: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  upload: "M12 16V5M7 10l5-5 5 5M5 20h14",
};

export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that is only an icon; `label` is its name for everyone else. */
export function iconButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", class: "icon-button", title: label, "aria-label": label,
    onclick, ...properties }, icon(name));
}

const listeners = new EventTarget();

/** Tell the other modules of the page. */
export function emit(name, detail) {
  listeners.dispatchEvent(new CustomEvent(name, { detail }));
}

export function on(name, listener) {
  listeners.addEventListener(name, (event) => listener(event.detail));
}

let trigger = null;
const waiting = [];

/** Send an event to its handler on the server (chat_events.py). */
export function send(name, data = {}) {
  if (trigger) trigger(name, data);
  else waiting.push([name, data]);
}

/** Gradio's side of send(): the bridge component is there. */
export function bridge(gradioTrigger, names) {
  trigger = (name, data) => {
    if (!names.includes(name)) throw new Error(`no event ${name}`);
    gradioTrigger(name, data);
  };
  for (const [name, data] of waiting.splice(0)) trigger(name, data);
}

/** Call `render` with a Gradio component's value, now and whenever it changes. */
export function follow(props, watch, render) {
  // Gradio hands out live proxies; a copy is plain and stays as it was.
  const update = () => props.value && render(JSON.parse(JSON.stringify(props.value)));
  watch("value", update);
  update();
}

/** Asks by the clock while `pause` gives milliseconds (0: not now); call what it returns to begin.
 *  Never armed by an answer: one that is lost, or that Gradio does not tell of because nothing in it
 *  has changed, would be the last one. */
export function clocked(ask, pause) {
  let timer = 0;
  return function arm() {
    clearTimeout(timer);
    const wait = pause();
    if (wait) timer = setTimeout(() => { ask(); arm(); }, wait);
  };
}

/** Let a text box be as high as its text, up to a share of the window. */
export function fit(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, innerHeight * 0.4)}px`;
}

export const isPhone = () => matchMedia("(max-width: 800px)").matches;

/** Show a conversation ("" = a new one). */
export function openConversation(id, { push = true } = {}) {
  state.conversation = id;
  state.turns = undefined;
  if (push) history.pushState(null, "", addressOf(id, "chat"));
  document.documentElement.classList.remove("side-open");
  emit("opening", id);
  send("open_conversation", { conversation: id });
}

/** Ask again for what is shown. */
export function reloadConversation() {
  if (!state.conversation || state.lives.has(state.conversation)) return;
  send("open_conversation", { conversation: state.conversation,
    ...(state.turns && { turns: state.turns }) });
}

/** The address of conversation `id` ("" = a new one) in a view. */
export function addressOf(id, view = state.view) {
  const query = new URLSearchParams({ ...(id && { chat: id }), ...(view !== "chat" && { view }) });
  return query.size ? `?${query}` : location.pathname;
}

/** What the list shows, for handlers that answer with a list. */
export function listing() {
  return { query: state.query, ...(state.size && { size: state.size }) };
}
