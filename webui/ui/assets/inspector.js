// The inspector beside the chat: the exact prompt, its tokens, the doctor's findings, formats; and
// in the settings, how a model is to answer. All of it is text: nothing is parsed as HTML.

import { emit, follow, h, iconButton, isPhone, on, state } from "./core.js";

const PREVIEW_DELAY_MS = 350;

let trigger = null;
let root = null;
let view = null;
let isOpen = false;
let showsIds = false;
let draft = null; // the template while it is edited
let timer = 0;
let asked = 0; // number of the last question to the server
let oldest = 0; // answers to questions before this one are out of date
let saving = 0; // the question that saves the draft

document.head.append(h("link", { rel: "stylesheet", href: new URL("inspector.css", import.meta.url).href }));

const s = (key) => view.strings[key];

/** Gradio's side: the bridge component is there. */
export function inspectorBridge(gradioTrigger) {
  trigger = gradioTrigger;
  act("show");
}

function act(action, data = {}) {
  asked += 1;
  if (action !== "show") oldest = asked;
  if (trigger) trigger("inspect", { action: action === "discard" ? "show" : action,
    conversation: state.conversation, open: isOpen, asked: String(asked), manner: state.manner,
    ...data });
}

export function inspector(element, props, watch) {
  root = element;
  follow(props, watch, (answer) => {
    if (answer.conversation !== state.conversation) return;
    if (Number(answer.asked) < oldest) return;
    if (Number(answer.asked) === saving) draft = null;
    view = answer;
    emit("warning", answer.offer.warning);
    drawManner(answer.offer);
    if (isOpen && answer.tokens) draw();
  });
}

export function toggleInspector() {
  isOpen = !isOpen;
  document.documentElement.classList.toggle("inspector-open", isOpen);
  draft = null;
  if (isOpen) {
    emit("pane", "inspector");
    act("show");
  }
}

on("pane", (name) => { if (name !== "inspector" && isOpen) toggleInspector(); });
on("opening", () => { draft = null; state.manner = {}; emit("warning", ""); act("show"); });
on("shown", () => { if (draft === null) act("show"); });
on("note", () => { if (draft === null) act("show"); });
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isOpen && isPhone()) toggleInspector();
});

function draw() {
  const typed = root.querySelector(".template");
  if (draft !== null && typed) { // the text being typed in stays as it is
    root.querySelector(".seen").replaceWith(seen());
    return;
  }
  root.replaceChildren(h("div", { class: "inspector-scroll", tabindex: "0", role: "region",
    "aria-label": s("title") },
  h("div", { class: "inspector-head" }, h("h2", {}, s("title")),
    iconButton("close", s("close"), toggleInspector)),
  chooser(), editor(), seen()));
}

function chooser() {
  const option = (one) => h("option", { value: one.name, selected: one.name === view.chosen },
    one.own ? `★ ${one.title}` : one.title);
  const select = h("select", { "aria-label": s("family"),
    onchange: () => { draft = null; act("choose", { family: select.value }); } },
  h("option", { value: "", selected: !view.chosen }, s("automatic")), ...view.families.map(option));
  return h("section", {}, h("p", { class: "quiet" }, view.model),
    h("label", { class: "line" }, h("span", {}, s("family")), select),
    h("p", { class: "quiet reason" }, view.family ? `${view.family} — ${view.reason}` : view.reason));
}

function editor() {
  const box = h("textarea", { class: "template", rows: 9, spellcheck: "false", "aria-label": s("template") });
  box.value = draft ?? view.template;
  box.addEventListener("input", () => {
    draft = box.value;
    clearTimeout(timer);
    timer = setTimeout(() => act("preview", { source: draft }), PREVIEW_DELAY_MS);
  });
  const name = h("input", { type: "text", placeholder: s("name"), "aria-label": s("name"), maxlength: "40" });
  const save = () => {
    clearTimeout(timer);
    draft = box.value; // stays until it is saved
    act("save", { name: name.value, source: draft });
    saving = asked;
  };
  return h("details", { class: "edit", open: draft !== null }, h("summary", {}, s("edit")), box,
    h("div", { class: "line" }, name, button(s("save"), save),
      button(s("discard"), () => { draft = null; clearTimeout(timer); act("discard"); }),
      view.is_own ? button(s("remove"), () => { draft = null; act("remove"); }) : null));
}

function seen() {
  const counts = new Map();
  for (const [, , kind, part] of view.tokens) {
    const name = kind === "message" ? part : s("part_template");
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const rows = [...counts].map(([name, n]) => h("tr", {}, h("td", {}, name), h("td", {}, String(n))));
  const box = h("input", { type: "checkbox", checked: showsIds,
    onchange: () => { showsIds = box.checked; text.classList.toggle("ids", showsIds); } });
  const text = h("pre", { class: `prompt-text${showsIds ? " ids" : ""}`, tabindex: "0" },
    ...view.tokens.map(([id, piece, kind]) =>
      h("span", { class: kind, title: `${id}`, "data-id": String(id) }, piece)));
  return h("div", { class: "seen" },
    h("section", { class: "findings" }, h("h3", {}, s("findings")), h("ul", {},
      ...view.findings.map((one) => h("li", { class: one.level }, one.sentence)))),
    h("section", {}, h("h3", {}, `${s("prompt")} · ${view.num_tokens} ${s("tokens")}`),
      view.is_example ? h("p", { class: "quiet" }, s("example_note")) : null,
      h("label", { class: "quiet" }, box, " ", s("ids")), text,
      h("table", {}, ...rows)),
    difference());
}

function difference() {
  if (!view.difference) return null;
  const title = view.is_edited ? s("difference_edit") : s("difference_file");
  const names = { " ": "same", "-": "gone", "+": "new" };
  const marks = view.difference.map(([mark, piece]) => h(mark === "-" ? "del" : mark === "+" ? "ins" : "span",
    { class: names[mark] }, piece));
  return h("section", { class: "difference" }, h("h3", {}, title),
    marks.length ? h("pre", {}, ...marks) : h("p", { class: "quiet" }, s("no_difference")));
}

function button(label, onclick) {
  return h("button", { type: "button", class: "button", onclick }, label);
}

/** In the settings: think or not, and the values that this model's format reads. */
export function manner(element) {
  element.classList.add("manner");
}

function drawManner(offer) {
  const place = document.querySelector("#panel .manner");
  if (!place || place.contains(document.activeElement)) return;
  const variables = Object.fromEntries(offer.variables.map((one) => [one.name, one.value]));
  const manner = { thinking: offer.thinking ?? null, variables };
  const keep = () => {
    if (!state.conversation) state.manner = manner; // goes with the first message
    act("manner", { manner });
  };
  const parts = offer.variables.map((one) => {
    const set = (value) => { variables[one.name] = value; keep(); };
    return one.choices.length ? choice(one.label, one.choices, one.value, set) : slider(one, set);
  });
  if (offer.can_switch) {
    const values = { "": null, on: true, off: false };
    const chosen = Object.keys(values).find((key) => values[key] === manner.thinking);
    const choices = [["", s("think_auto")], ["on", s("think_on")], ["off", s("think_off")]];
    parts.unshift(choice(s("think"), choices, chosen, (value) => {
      manner.thinking = values[value];
      keep();
    }));
  }
  place.replaceChildren(...parts);
}

function choice(label, choices, chosen, set) {
  const select = h("select", { "aria-label": label, onchange: () => set(select.value) },
    choices.map(([value, name]) => h("option", { value, selected: value === chosen }, name)));
  return h("label", { class: "line" }, h("span", {}, label), select);
}

function slider(one, set) {
  const shown = h("output", {}, String(one.value));
  const input = h("input", { type: "range", min: String(one.low), max: String(one.high), step: "1",
    "aria-label": one.label, oninput: () => { shown.textContent = input.value; },
    onchange: () => set(Number(input.value)) });
  input.value = String(one.value);
  return h("label", { class: "line" }, h("span", {}, one.label), input, shown);
}
