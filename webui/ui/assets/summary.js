// The 要約 view: text or files in, the plan, the run, bullets beside their source.

import { emit, follow, h, icon, iconButton, isPhone, on, openConversation, store, stored } from "./core.js";
import { confirmed, toast } from "./dialogs.js";

const POLL_MS = 400;
const MAX_CHAT_CHARS = 20_000;
const MARKS = { unsupported: "whole", unaligned: "whole", negation: "hint" };

let trigger = null;
let strings = null;
let view = null;
let result = null;
let wanted = ""; // id of the result that is asked for
let chosen = []; // bullets
let parts = null;
let usualMode = "abstract";
let timer = 0;
let isOpen = false;
let isUploading = 0;

document.head.append(h("link", { rel: "stylesheet", href: new URL("summary.css", import.meta.url).href }));

function s(key, values = {}) {
  const template = strings?.[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Gradio's side: the bridge component is there. */
export function summaryBridge(gradioTrigger) {
  trigger = gradioTrigger;
  if (isOpen) act("show");
}

function act(action, data = {}) {
  if (trigger) trigger("summary", { action, first: strings === null, ...data });
}

export function summary(element, props, watch) {
  follow(props, watch, (answer) => {
    if (answer.strings) strings = answer.strings;
    if (!strings) return;
    const before = view;
    view = answer;
    if (answer.result) {
      result = answer.result;
      chosen = [];
    }
    if (!parts) build(element);
    draw(before);
    schedule();
  });
}

on("view", (name) => {
  isOpen = name === "summary";
  clearTimeout(timer);
  if (isOpen) act("show");
});

function schedule() {
  clearTimeout(timer);
  if (isOpen && (view.is_running || view.is_planning)) timer = setTimeout(() => act("poll"), POLL_MS);
}

// --- the form, built once: what is being typed is never redrawn -------------------------------

const button = (label, onclick, properties = {}) =>
  h("button", { type: "button", class: "button", onclick, ...properties }, label);

function build(element) {
  const box = h("textarea", { rows: 9, placeholder: s("paste"), "aria-label": s("paste") });
  box.addEventListener("input", () => forgetPlan());
  const picker = h("input", { type: "file", multiple: true, hidden: true,
    accept: ".pdf,.txt,.md,.markdown,.html,.htm,.docx" });
  picker.addEventListener("change", () => { upload([...picker.files]); picker.value = ""; });
  const files = h("ul", { class: "files" });
  const form = h("section", { class: "form" },
    h("div", { class: "drop" }, box, files,
      h("div", { class: "line" }, button([icon("upload"), s("choose")].flat(), () => picker.click()),
        h("span", { class: "quiet" }, s("drop")), picker)),
    h("div", { class: "options" }, option("mode", ["abstract", "verbatim"], usualMode),
      option("num_bullets", [0, ...Array.from({ length: 20 }, (_, i) => i + 1)]),
      option("granularity", ["terse", "standard", "detailed"], "standard"),
      option("style", ["standard", "executive", "beginner", "minutes"]),
      option("language", ["ja", "en"])));
  const plan = h("div", { class: "plan", "aria-live": "polite" });
  const run = h("section", { class: "run", "aria-live": "off" });
  const shown = h("section", { class: "shown" });
  const history = h("section", { class: "history" });
  parts = { box, files, form, plan, run, shown, history };
  form.append(plan);
  dropping(form);
  element.replaceChildren(h("div", { class: "summary-scroll", tabIndex: 0 }, h("div", { class: "summary-page" },
    h("header", { class: "summary-head" }, h("h1", {}, s("title"))),
    form, run, shown, history)));
}

function option(name, values, usual = values[0]) {
  const kept = stored(`summary.${name}`);
  const select = h("select", { class: "button", name, "aria-label": s(name) }, values.map((value) =>
    h("option", { value: String(value), selected: String(value) === (kept ?? String(usual)) },
      name === "num_bullets" ? (value ? s("count", { n: value }) : s("auto")) : s(`${name}_${value}`))));
  select.addEventListener("change", () => { store(`summary.${name}`, select.value); forgetPlan(); });
  return h("label", {}, h("span", {}, s(name)), select);
}

on("note", ({ isBuiltin }) => { // the small built-in model chooses sentences better than it writes
  usualMode = isBuiltin ? "verbatim" : "abstract";
  const select = parts?.form.querySelector("select[name=mode]");
  if (select && !stored("summary.mode") && select.value !== usualMode) {
    select.value = usualMode;
    forgetPlan();
  }
});

function settings() {
  const values = Object.fromEntries([...parts.form.querySelectorAll("select")]
    .map((select) => [select.name, select.value]));
  return { ...values, num_bullets: Number(values.num_bullets),
    model: document.querySelector(".head-model")?.value || "" };
}

function forgetPlan() {
  if (view?.plan) { view.plan = null; drawPlan(); }
}

function dropping(form) {
  const over = (event, isOver) => { event.preventDefault(); form.classList.toggle("over", isOver); };
  form.addEventListener("dragover", (event) => over(event, true));
  form.addEventListener("dragleave", (event) => over(event, false));
  form.addEventListener("drop", (event) => { over(event, false); upload([...event.dataTransfer.files]); });
}

async function upload(files) {
  for (const file of files) await uploadOne(file);
  act("show");
}

async function uploadOne(file, password = "") {
  isUploading += 1;
  drawPlan();
  try {
    const answer = await fetch("/summaries/files", { method: "POST", body: file, headers: {
      "content-type": "application/octet-stream", "x-file-name": encodeURIComponent(file.name),
      "x-password": encodeURIComponent(password) } });
    const told = await answer.json();
    if (told.password) {
      const given = await asked(`${file.name}: ${told.error}`);
      if (given) await uploadOne(file, given);
    } else if (!answer.ok) toast(`${file.name}: ${told.error || s("failed")}`, { isError: true });
  } catch {
    toast(`${file.name}: ${s("failed")}`, { isError: true });
  } finally {
    isUploading -= 1;
    drawPlan();
  }
}

function asked(question) {
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

// --- what changes -------------------------------------------------------------------------------

function draw(before) {
  const last = view.finished.at(-1);
  if (before?.is_running && !view.is_running && last && last !== wanted) open(last);
  drawFiles();
  drawPlan();
  drawRun();
  drawResult();
  drawHistory();
}

function drawFiles() {
  const files = view.sources.filter((one) => one.is_file);
  parts.files.replaceChildren(...files.map((one) => h("li", {}, icon("file"), h("span", {}, one.name),
    h("span", { class: "quiet" }, s("chars", { n: one.chars.toLocaleString() })),
    one.left_out ? h("span", { class: "warn" }, s("left_out", { n: one.left_out })) : null,
    iconButton("close", s("remove"), () => act("remove_file", { token: one.token })))));
}

function drawPlan() {
  if (!parts) return;
  const plan = view.plan;
  const buttons = plan && !view.is_running
    ? [button(s(plan.resumed ? "resume" : "start"), () => begin(plan), { class: "button primary" })]
    : [button(s("make_plan"), makePlan, { class: "button primary",
      disabled: view.is_running || view.is_planning || isUploading > 0 })];
  parts.plan.replaceChildren(h("div", { class: "line" }, h("p", {}, planText()), h("span", { class: "buttons" }, buttons)),
    ...(plan?.is_standin ? [h("p", { class: "warn" }, s("standin"))] : []),
    ...(view.error ? [h("p", { class: "bad", role: "alert" }, view.error)] : []));
}

function planText() {
  const plan = view.plan;
  if (isUploading) return s("uploading");
  if (view.is_planning) return s("planning");
  if (!plan || view.is_running) return "";
  const text = s("plan", { tokens: plan.tokens.toLocaleString(), sections: plan.sections,
    calls: plan.calls, time: time(plan.eta_s), model: plan.model });
  return plan.resumed ? `${text} ${s("resumed", { n: plan.resumed })}` : text;
}

function makePlan() {
  if (!parts.box.value.trim() && !view.sources.length) { parts.box.focus(); return; }
  result = null;
  act("plan", { text: parts.box.value, ...settings() });
  view.is_planning = true;
  drawPlan();
}

async function begin(plan) {
  if (plan.asks && !(await confirmed(s("ask", { time: time(plan.eta_s) }), s("start")))) return;
  wanted = "";
  result = null;
  act("start", settings());
}

function drawRun() {
  const run = view.run;
  parts.run.hidden = !view.is_running;
  if (!view.is_running || !run) { parts.run.replaceChildren(); return; }
  const percent = run.total ? 100 * run.done / run.total : 100 * run.load_fraction;
  parts.run.replaceChildren(
    h("div", { class: "line" }, h("p", { class: "run-text", role: "status" }, runText(run)),
      h("span", { class: "buttons" }, button([icon("stop"), s("cancel")], () => act("cancel"), { class: "button stop" }))),
    h("div", { class: "bar", role: "progressbar", "aria-label": s("title"), "aria-valuemin": 0,
      "aria-valuemax": 100, "aria-valuenow": Math.round(percent) }, h("i", { style: `width:${percent}%` })),
    ...run.sections.map((one) => h("div", { class: one.is_done ? "live done" : "live" },
      one.title ? h("h3", {}, one.title) : null,
      h("ul", {}, [...one.bullets, ...(one.partial ? [one.partial] : [])].map((line) => h("li", {}, line))))));
}

function runText(run) {
  const file = run.files > 1 ? `${s("file_of", { n: run.file, total: run.files })}　` : "";
  if (run.state === "loading") return file + s("loading");
  if (run.state === "queued") return file + s("queued");
  if (!run.total) return file + s("planning");
  const name = run.state === "merging" ? "merging" : "working";
  const left = run.eta_s === null ? "" : s("left", { time: time(run.eta_s) });
  return file + s(name, { done: run.done, total: run.total }) + left;
}

function time(seconds) {
  if (seconds < 90) return s("seconds", { n: Math.max(1, Math.round(seconds)) });
  return seconds < 5400 ? s("minutes", { n: Math.round(seconds / 60) })
    : s("hours", { n: (seconds / 3600).toFixed(1) });
}

// --- the result ---------------------------------------------------------------------------------

function open(id) {
  wanted = id;
  act("open", { id });
}

let drawnFor = null;

function drawResult() {
  parts.shown.hidden = !result || view.is_running;
  if (parts.shown.hidden || drawnFor === result) return;
  drawnFor = result;
  const source = h("div", { class: "source", tabIndex: 0, "aria-label": s("source") }, sourceText());
  parts.shown.replaceChildren(
    h("div", { class: "line" }, h("h2", {}, result.title), h("span", { class: "buttons" }, resultButtons())),
    h("p", { class: "quiet" }, s("made", { model: result.model, time: time(result.total_s) }), languageText()),
    ...result.notes.map((note) => h("p", { class: "warn" }, note)),
    h("div", { class: "both" },
      h("div", { class: "bullets" }, strip(), bullets()),
      h("div", { class: "beside" }, h("h3", {}, s("source")), source)));
}

/** How often the language had to be asked for again; quotes are in the source's. */
function languageText() {
  if (result.is_verbatim) return "";
  return s(result.language_ok ? "language_ok" : "language_mixed",
    { percent: Math.round(100 * result.first_try_share) });
}

function resultButtons() {
  const link = (kind, label) => h("a", { class: "button", href: `/summaries/${result.id}.${kind}`, download: "" }, label);
  return [
    button([icon("copy"), s("copy")], async () => {
      await navigator.clipboard.writeText(plainText());
      toast(s("copied"));
    }),
    link("md", "Markdown"), link("txt", s("text")), link("docx", "Word"), link("json", "JSON"),
    button(s("chat"), continueInChat),
  ];
}

const plainText = () => result.bullets.map((bullet) => `・${bullet.text}`).join("\n");

function continueInChat() {
  const text = result.text.length <= MAX_CHAT_CHARS ? result.text : plainText();
  openConversation("");
  emit("compose", `${s("chat_begin", { title: result.title })}\n\n${text}\n\n`);
}

function bullets() {
  let section = "";
  return h("ol", { class: "result" }, result.bullets.map((bullet, index) => {
    const head = bullet.section && bullet.section !== section ? h("h3", {}, section = bullet.section) : null;
    const pages = [...new Set(bullet.sources.filter((one) => one.page || one.place).map((one) => one.at))];
    return h("li", {}, head,
      h("button", { type: "button", class: "bullet", "data-bullet": String(index), "aria-pressed": "false",
        onclick: () => chooseBullet(index) }, h("span", { class: "words" }, marked(bullet)),
        pages.length ? h("span", { class: "pages" }, pages.join(" ")) : null),
      bullet.flags.length ? h("ul", { class: "flags" }, bullet.flags.map((flag) =>
        h("li", { class: MARKS[flag.kind] || "fact" }, flag.label))) : null);
  }));
}

/** The bullet with its doubtful words marked in place. */
function marked(bullet) {
  const found = bullet.flags.filter((flag) => MARKS[flag.kind] !== "whole" && flag.end - flag.start < bullet.text.length);
  const pieces = [];
  let position = 0;
  for (const flag of found.sort((a, b) => a.start - b.start)) {
    const start = Math.max(position, offset(bullet.text, flag.start));
    const end = offset(bullet.text, flag.end);
    if (end <= start) continue;
    pieces.push(bullet.text.slice(position, start), h("mark", { title: flag.label }, bullet.text.slice(start, end)));
    position = end;
  }
  return [...pieces, bullet.text.slice(position)];
}

/** Python counts code points, the browser UTF-16 units. */
function offset(text, count) {
  let units = 0;
  for (const char of text) { if (count-- <= 0) break; units += char.length; }
  return units;
}

function sourceText() {
  const owners = new Map(); // start of a sentence -> bullets
  result.bullets.forEach((bullet, index) => bullet.sources.forEach((one) =>
    owners.set(one.start, [...(owners.get(one.start) || []), index])));
  const chars = [...result.text];
  const pieces = [];
  let position = 0;
  let page = 0;
  let next = 0; // of the places
  for (const [start, end, at] of result.sentences) {
    pieces.push(chars.slice(position, start).join(""));
    if (at && at !== page) pieces.push(h("span", { class: "page" }, `p.${page = at}`));
    const last = next;
    while (next < result.places.length && result.places[next][0] <= start) next += 1;
    if (next > last) pieces.push(h("span", { class: "page" }, result.places[next - 1][1]));
    const text = chars.slice(start, end).join("");
    const bullets = owners.get(start);
    pieces.push(bullets ? h("button", { type: "button", class: "sentence", "data-start": String(start),
      onclick: () => chooseSentence(start, bullets) }, text) : text);
    position = end;
  }
  return [...pieces, chars.slice(position).join("")];
}

/** A bullet → the sentences it rests on; once more → none. */
function chooseBullet(index) {
  const again = chosen.length === 1 && chosen[0] === index;
  const starts = again ? [] : result.bullets[index].sources.map((one) => one.start);
  mark(again ? [] : [index], starts);
  show(`.sentence[data-start="${starts[0]}"]`);
}

/** A sentence → every bullet that rests on it. */
function chooseSentence(start, bullets) {
  mark(bullets, [start]);
  show(`[data-bullet="${bullets[0]}"]`);
}

function mark(bullets, starts) {
  chosen = bullets;
  for (const one of parts.shown.querySelectorAll(".bullet")) {
    one.setAttribute("aria-pressed", String(bullets.includes(Number(one.dataset.bullet))));
  }
  for (const one of parts.shown.querySelectorAll(".sentence")) {
    one.classList.toggle("on", starts.includes(Number(one.dataset.start)));
  }
}

const show = (selector) => parts.shown.querySelector(selector)
  ?.scrollIntoView({ block: isPhone() ? "center" : "nearest", behavior: "auto" });

function strip() {
  const percent = Math.round(100 * result.covered.reduce((sum, one) => sum + (one > 0), 0) / result.covered.length);
  return h("figure", { class: "coverage" },
    h("div", { class: "cells", role: "img", "aria-label": s("coverage", { percent }) },
      result.covered.map((share, index) => h("i", { class: share > 0 ? "yes" : "",
        style: `opacity:${share > 0 ? 0.35 + 0.65 * share : 1}`,
        onclick: () => scrollSource(index / result.covered.length) }))),
    h("figcaption", { class: "quiet" }, s("coverage", { percent })));
}

function scrollSource(share) {
  const box = parts.shown.querySelector(".source");
  box.scrollTop = share * box.scrollHeight;
}

// --- history ------------------------------------------------------------------------------------

function drawHistory() {
  const items = view.history.filter((one) => one.is_complete || !view.is_running);
  parts.history.hidden = !items.length;
  parts.history.replaceChildren(h("h2", {}, s("history")), h("ul", {}, items.map((one) => h("li", {},
    h("button", { type: "button", class: "past", onclick: () => (one.is_complete ? open(one.id) : act("resume", { id: one.id })) },
      h("span", {}, one.title), h("span", { class: "quiet" },
        one.is_complete ? one.when : s("unfinished", { done: one.done, total: one.total }))),
    iconButton("trash", s("delete"), async () => {
      if (await confirmed(s("delete_question", { title: one.title }), s("delete"))) act("delete", { id: one.id });
    })))));
}
