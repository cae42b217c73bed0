// The モデル view: memory, the models that are here, downloads, the catalogue, measurements.

import { clocked, follow, h, on, send, state } from "./core.js";
import { confirmed } from "./dialogs.js";
import { bench } from "./models_bench.js";
import { catalogue, shown } from "./models_catalogue.js";
import { drawPreview, here, onTalk } from "./models_here.js";
import { act, button, gb, page, s } from "./models_page.js";

const POLL_MS = 700;
const IDLE_POLL_MS = 5000;

let isOpen = false;
let idsAtOpening = null;

document.head.append(h("link", { rel: "stylesheet", href: new URL("models.css", import.meta.url).href }));

/** Gradio's side: the bridge component is there. */
export function modelsBridge(gradioTrigger) {
  page.trigger = gradioTrigger;
  if (isOpen) act("show");
}

export function models(element, props, watch) {
  page.root = element;
  follow(props, watch, (answer) => {
    if (answer.preview) {
      drawPreview(answer.preview);
      return;
    }
    if (answer.strings) page.strings = answer.strings;
    if (!page.strings) return;
    if (idsAtOpening === null) idsAtOpening = idsOf(answer);
    page.view = answer;
    draw();
    schedule();
  });
}

const idsOf = (shown) => shown.models.map((one) => one.id).join("\n");

on("view", (name) => (name === "models" ? begin() : end()));

function begin() {
  isOpen = true;
  idsAtOpening = null;
  act("show");
  schedule();
}

function end() {
  if (!isOpen) return;
  isOpen = false;
  if (page.view && idsOf(page.view) !== idsAtOpening && !state.lives.size) {
    send("open_conversation", { conversation: state.conversation }); // the header lists them too
  }
}

function isMoving() {
  return page.view.downloads.some((one) => one.is_active) || page.view.job?.is_running
    || page.view.models.some((one) => one.state === "loading");
}

const schedule = clocked(() => act("poll"), () => isOpen && (page.view && isMoving() ? POLL_MS : IDLE_POLL_MS));

// A part is drawn again only when what it shows has changed, and never under the reader's finger
// or while they type in it: a click on something that was just replaced would be lost.
const PARTS = {
  memory: [memory, () => [page.view.memory, page.view.models.map((one) => [one.name, rounded(one.memory_now)])]],
  downloads: [downloads, () => page.view.downloads],
  here: [here, () => [page.view.models.map((one) => ({ ...one, memory_now: rounded(one.memory_now) })),
    page.view.job?.is_running, state.model]],
  bench: [bench, () => [page.view.bench, page.view.job, page.view.models.map((one) => [one.id, one.name, one.problem])]],
  catalogue: [catalogue, () => [page.view.catalogue, page.view.problems, shown, page.view.ram_class,
    page.view.downloads.map((one) => [one.name, one.state])]],
};
const drawn = new Map(); // part -> what it shows, as text
const rounded = (bytes) => Math.round(bytes / 1e7) * 1e7;
let isPressed = false;

addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const name of ["pointerup", "pointercancel"]) {
  // After the click that follows.
  addEventListener(name, () => setTimeout(() => { isPressed = false; if (isOpen && page.view) draw(); }, 50), true);
}

page.draw = draw;
onTalk(() => { idsAtOpening = idsOf(page.view); });

function draw() {
  if (isPressed) return;
  if (!page.root.querySelector(".models-page")) {
    page.root.replaceChildren(h("div", { class: "models-scroll", tabIndex: 0 }, h("div", { class: "models-page" },
      head(), Object.keys(PARTS).map((name) => h("div", { "data-part": name })))));
    drawn.clear();
  }
  const isNew = page.view.models.every((one) => one.is_ours); // the catalogue comes first then
  page.root.querySelector(".models-page").classList.toggle("is-new", isNew);
  for (const [name, [part, shows]] of Object.entries(PARTS)) {
    const place = page.root.querySelector(`[data-part="${name}"]`);
    const text = JSON.stringify(shows());
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    if (drawn.get(name) === text || ["INPUT", "SELECT", "TEXTAREA"].includes(focused?.tagName)) continue;
    drawn.set(name, text);
    place.replaceChildren(...[part()].filter(Boolean));
    if (!page.view.may_change) lock(place);
    const key = focused?.dataset.key;
    if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
}

function head() {
  return h("header", { class: "models-head" }, h("h1", {}, s("title")),
    page.view.may_change ? null : h("p", { class: "quiet", id: "admins-only" }, s("admins_only")));
}

/** What only administrators may do cannot be pressed; the server refuses it anyway. */
function lock(place) {
  for (const control of place.querySelectorAll("button.button, select.button, .options :is(input, select), form :is(input, select)")) {
    if (control.dataset.free) continue;
    control.disabled = true;
    control.title = s("admins_only");
    control.setAttribute("aria-describedby", "admins-only");
  }
}

function memory() {
  const { available, total } = page.view.memory;
  const loaded = page.view.models.reduce((sum, one) => sum + one.memory_now, 0);
  const others = Math.max(0, total - available);
  const name = page.view.models.filter((one) => one.memory_now).map((one) => one.name).join("、");
  return h("section", { class: "memory", "aria-label": s("memory") },
    h("div", { class: "bar" },
      h("i", { class: "others", style: `width:${100 * others / total}%` }),
      h("i", { class: "model", style: `width:${100 * loaded / total}%` })),
    h("p", {}, name ? s("memory_loaded", { name, size: gb(loaded) }) : s("memory_none"),
      h("span", {}, s("memory_free", { free: gb(available - loaded), total: gb(total) }))));
}

// --- downloads ----------------------------------------------------------------------------------

function downloads() {
  if (!page.view.downloads.length) return null;
  return h("section", {}, h("h2", {}, s("downloads")), page.view.downloads.map(downloadCard));
}

function downloadCard(one) {
  const key = (label) => ({ "data-key": `${one.name} ${label}`, "aria-label": `${label} ${one.name}` });
  const act1 = (label, action, more = {}) =>
    button(label, () => act(action, { name: one.name }), { ...key(label), ...more });
  const buttons = {
    paused: [act1(s("resume"), "resume", { class: "button primary" })],
    failed: [act1(s("resume"), "resume", { class: "button primary" })],
    done: [act1(s("clear"), "forget")],
  }[one.state] || [act1(s("pause"), "pause")];
  if (one.state !== "done") {
    buttons.push(button(s("cancel"), async () => {
      if (await confirmed(s("cancel_question", { name: one.name }), s("cancel_yes"))) {
        act("cancel", { name: one.name });
      }
    }, key(s("cancel"))));
  }
  const percent = one.total ? 100 * one.done / one.total : 0;
  return h("article", { class: `download ${one.state}` },
    h("div", { class: "line" }, h("strong", {}, one.name), h("span", { class: "quiet" }, one.repository)),
    h("div", { class: "bar", role: "progressbar", "aria-valuenow": Math.round(percent),
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": one.name },
      h("i", { class: "model", style: `width:${percent}%` })),
    h("div", { class: "line" }, h("span", { class: "quiet" }, downloadText(one, percent)),
      h("span", { class: "buttons" }, buttons)),
    one.error ? h("p", { class: "bad" }, one.error) : null);
}

function downloadText(one, percent) {
  const amount = one.total ? `${percent.toFixed(0)} %　${gb(one.done)} / ${gb(one.total)}` : "";
  const speed = one.state === "running" && one.speed ? `　${(one.speed / 1e6).toFixed(1)} MB/s` : "";
  const left = one.eta === null ? "" : `　${s("left", { time: time(one.eta) })}`;
  return `${s(`state_${one.state}`)}　${amount}${speed}${left}`;
}

function time(seconds) {
  if (seconds < 60) return s("seconds", { n: Math.ceil(seconds) });
  return seconds < 5400 ? s("minutes", { n: Math.ceil(seconds / 60) })
    : s("hours", { n: (seconds / 3600).toFixed(1) });
}

