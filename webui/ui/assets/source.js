// The source panel: a passage on its page, for search results and for citations in answers.
//
// Beside the view on a desktop, over everything on a phone. Focus moves in, Esc brings it back.

import { follow, h, icon, iconButton, isPhone, on } from "./core.js";
import { cut, isFirst, learn, s } from "./documents_core.js";

let trigger = null;
let root = null;
let places = []; // what can be stepped through: {document, page, span?, quote?, name}
let index = 0;
let page = 0; // that is wanted; the place's own or another one
let nonce = 0;
let opener = null;
let asking = null; // what waits for the bridge

document.head.append(h("link", { rel: "stylesheet", href: new URL("source.css", import.meta.url).href }));

export function sourceBridge(gradioTrigger) {
  trigger = gradioTrigger;
  if (asking) ask(asking);
}

export function source(element, props, watch) {
  root = element;
  follow(props, watch, (answer) => {
    if (learn(answer) && answer.nonce === nonce && places.length) draw(answer);
  });
}

/** Show `list[at]`; the others are a step away. Focus goes back to `from` afterwards. */
export function openSource(list, at, from = document.activeElement) {
  if (!places.length) opener = from;
  places = list;
  document.documentElement.classList.add("source-open");
  show(at);
}

function show(at) {
  index = Math.max(0, Math.min(at, places.length - 1));
  turn(places[index].page);
}

function turn(number) {
  page = number;
  const { document, span, quote } = places[index];
  ask({ document, page, ...(span && { span }), ...(quote && { quote }) });
}

function ask(data) {
  nonce += 1;
  asking = trigger ? null : data;
  if (trigger) trigger("source", { first: isFirst(), nonce, ...data });
}

export function closeSource() {
  if (!places.length) return;
  places = [];
  document.documentElement.classList.remove("source-open");
  root.replaceChildren();
  if (opener?.isConnected) opener.focus();
  opener = null;
}

on("view", closeSource);
on("opening", closeSource);
addEventListener("keydown", (event) => {
  if (!places.length || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") { event.stopPropagation(); closeSource(); }
  if (event.key === "Tab" && isPhone()) keepInside(event);
}, true);

/** On a phone nothing behind the panel can be seen, so Tab must not go there. */
function keepInside(event) {
  const stops = [...root.querySelectorAll("button:not(:disabled), a, input, [tabindex='0']")];
  const edge = event.shiftKey ? stops[0] : stops.at(-1);
  if (document.activeElement !== edge && root.contains(document.activeElement)) return;
  event.preventDefault();
  (event.shiftKey ? stops.at(-1) : stops[0])?.focus();
}

// --- drawing --------------------------------------------------------------------------------------

function draw(answer) {
  const key = root.contains(document.activeElement) ? document.activeElement.dataset.key : "close";
  const name = answer.name || places[index].name || "";
  root.replaceChildren(h("aside", { class: "source", role: "dialog", "aria-label": s("source_of", { name }),
    "aria-modal": String(isPhone()) },
    h("header", {},
      h("h2", { title: name }, name),
      places.length > 1 ? stepper("place", index + 1, places.length, (to) => show(to - 1)) : null,
      iconButton("close", s("close"), closeSource, { "data-key": "close" })),
    answer.is_gone ? gone(answer) : body(answer)));
  const target = root.querySelector(`[data-key="${key}"]:not(:disabled)`) || root.querySelector("[data-key=close]");
  target.focus({ preventScroll: true });
  if (!answer.picture) root.querySelector(".words mark")?.scrollIntoView({ block: "center" });
}

function gone(answer) {
  return h("div", { class: "inside" }, h("p", { class: "warn", role: "status" }, answer.sentence),
    answer.quote ? h("blockquote", {}, answer.quote) : null);
}

function body(answer) {
  return h("div", { class: "inside", tabindex: "0" },
    h("div", { class: "line" },
      answer.num_pages > 1 ? stepper(answer.has_pages ? "page" : "part", answer.page, answer.num_pages, turn) : null,
      answer.at ? h("span", { class: "at" }, answer.at) : null,
      h("a", { class: "original", href: `/documents/${answer.document}/file`, download: "" }, icon("external"), s("original"))),
    answer.sentence ? h("p", { class: answer.is_recognised ? "quiet" : "warn" }, answer.sentence) : null,
    answer.picture ? paper(answer) : null,
    words(answer));
}

/** ‹ 3 / 24 › */
function stepper(kind, number, count, go) {
  const step = (by, symbol, label) => iconButton(symbol, label, () => go(number + by),
    { "data-key": `${kind} ${by}`, disabled: number + by < 1 || number + by > count });
  return h("span", { class: `stepper ${kind}`, role: "group", "aria-label": s(`step_${kind}`) },
    step(-1, "left", s(`previous_${kind}`)),
    h("span", { class: "number" }, s(`${kind}_number`, { n: number, count })),
    step(1, "right", s(`next_${kind}`)));
}

function paper(answer) {
  const image = h("img", { alt: s("picture_of", { name: answer.name, page: answer.page }), src: answer.picture });
  const box = h("div", { class: "paper", style: `aspect-ratio: 1 / ${answer.ratio}` }, image,
    answer.boxes.map(([left, top, width, height]) => h("i", { class: "spot",
      style: `left:${100 * left}%;top:${100 * top}%;width:${100 * width}%;height:${100 * height}%` })));
  const frame = h("div", { class: "frame" }, box);
  image.addEventListener("error", () => onNoPicture(frame, answer));
  requestAnimationFrame(() => {
    const first = answer.boxes[0];
    if (first) frame.scrollTop = Math.max(0, (first[1] - 0.12) * box.offsetHeight);
  });
  return frame;
}

/** Why there is no picture: after a restart a protected file wants its password again. */
async function onNoPicture(frame, answer) {
  const told = await fetch(answer.picture).then((reply) => reply.json()).catch(() => ({}));
  const sentence = answer.problem || told.error || s("no_picture");
  if (!told.password) { frame.replaceChildren(h("p", { class: "quiet" }, sentence)); return; }
  const field = h("input", { type: "password", autocomplete: "off", placeholder: s("password"),
    "aria-label": s("password_of", { name: answer.name }) });
  frame.replaceChildren(h("form", { class: "password", onsubmit: (event) => {
    event.preventDefault();
    const { span, quote } = places[index];
    if (field.value) ask({ document: answer.document, page, password: field.value, ...(span && { span }), ...(quote && { quote }) });
  } }, h("p", { class: "warn" }, sentence), field,
  h("button", { type: "submit", class: "button" }, s("unlock"))));
}

function words(answer) {
  const [start, end] = answer.place || [0, 0];
  const [before, inside, after] = cut(answer.text, start, end);
  return h("div", { class: "words" },
    answer.cut[0] ? "…" : "", before, answer.place ? h("mark", {}, inside) : "", after, answer.cut[1] ? "…" : "");
}
