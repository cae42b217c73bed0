// The モデル view: memory, the models that are here, downloads, the catalogue, measurements.

import { follow, h, on, send, state } from "./core.js";
import { confirmed } from "./dialogs.js";
import { showView } from "./navigation.js";

const POLL_MS = 700;
const IDLE_POLL_MS = 5000;
const GB = 1e9;

let trigger = null;
let strings = null;
let view = null;
let root = null;
let timer = 0;
let isOpen = false;
let idsAtOpening = null;
let shownClass = 0; // of memory; 0 = as the machine has
let kind = "chat";
const opened = new Set(); // details that the reader opened
const drafts = new Map(); // model -> options being edited
const previews = new Map();

document.head.append(h("link", { rel: "stylesheet", href: new URL("models.css", import.meta.url).href }));

function s(key, values = {}) {
  const template = strings?.[key];
  if (template === undefined) throw new Error(`no string ${key}`);
  return template.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Gradio's side: the bridge component is there. */
export function modelsBridge(gradioTrigger) {
  trigger = gradioTrigger;
  if (isOpen) act("show");
}

function act(action, data = {}) {
  if (trigger) trigger("models", { action, first: strings === null, ...data });
}

export function models(element, props, watch) {
  root = element;
  follow(props, watch, (answer) => {
    if (answer.preview) {
      previews.set(answer.preview.model, answer.preview);
      drawPreview(answer.preview.model);
      return;
    }
    if (answer.strings) strings = answer.strings;
    if (!strings) return;
    if (idsAtOpening === null) idsAtOpening = idsOf(answer);
    view = answer;
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
}

function end() {
  if (!isOpen) return;
  isOpen = false;
  clearTimeout(timer);
  if (view && idsOf(view) !== idsAtOpening && !state.lives.size) {
    send("open_conversation", { conversation: state.conversation }); // the header lists them too
  }
}

function isMoving() {
  return view.downloads.some((one) => one.is_active) || view.job?.is_running
    || view.models.some((one) => one.state === "loading");
}

function schedule() {
  clearTimeout(timer);
  if (isOpen) timer = setTimeout(() => act("poll"), isMoving() ? POLL_MS : IDLE_POLL_MS);
}

// A part is drawn again only when what it shows has changed, and never under the reader's finger
// or while they type in it: a click on something that was just replaced would be lost.
const PARTS = {
  memory: [memory, () => [view.memory, view.models.map((one) => [one.name, rounded(one.memory_now)])]],
  downloads: [downloads, () => view.downloads],
  here: [here, () => [view.models.map((one) => ({ ...one, memory_now: rounded(one.memory_now) })),
    view.job?.is_running]],
  catalogue: [catalogue, () => [view.catalogue, view.problems, kind, shownClass, view.ram_class,
    view.downloads.map((one) => [one.name, one.state])]],
  bench: [bench, () => [view.bench, view.job]],
};
const drawn = new Map(); // part -> what it shows, as text
const rounded = (bytes) => Math.round(bytes / 1e7) * 1e7;
let isPressed = false;

addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const name of ["pointerup", "pointercancel"]) {
  // After the click that follows.
  addEventListener(name, () => setTimeout(() => { isPressed = false; if (isOpen && view) draw(); }, 50), true);
}

function draw() {
  if (isPressed) return;
  if (!root.querySelector(".models-page")) {
    root.replaceChildren(h("div", { class: "models-scroll", tabIndex: 0 }, h("div", { class: "models-page" },
      head(), Object.keys(PARTS).map((name) => h("div", { "data-part": name })))));
    drawn.clear();
  }
  for (const [name, [part, shows]] of Object.entries(PARTS)) {
    const place = root.querySelector(`[data-part="${name}"]`);
    const text = JSON.stringify(shows());
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    if (drawn.get(name) === text || ["INPUT", "SELECT"].includes(focused?.tagName)) continue;
    drawn.set(name, text);
    place.replaceChildren(...[part()].filter(Boolean));
    const key = focused?.dataset.key;
    if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
}

const gb = (bytes) => (bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / GB).toFixed(2)} GB`);
const button = (label, onclick, properties = {}) =>
  h("button", { type: "button", class: "button", onclick, "data-key": label, ...properties }, label);

function head() {
  return h("header", { class: "models-head" }, h("h1", {}, s("title")));
}

function memory() {
  const { available, total } = view.memory;
  const loaded = view.models.reduce((sum, one) => sum + one.memory_now, 0);
  const others = Math.max(0, total - available);
  const name = view.models.filter((one) => one.memory_now).map((one) => one.name).join("、");
  return h("section", { class: "memory", "aria-label": s("memory") },
    h("div", { class: "bar" },
      h("i", { class: "others", style: `width:${100 * others / total}%` }),
      h("i", { class: "model", style: `width:${100 * loaded / total}%` })),
    h("p", {}, name ? s("memory_loaded", { name, size: gb(loaded) }) : s("memory_none"),
      h("span", {}, s("memory_free", { free: gb(available - loaded), total: gb(total) }))));
}

// --- downloads ----------------------------------------------------------------------------------

function downloads() {
  if (!view.downloads.length) return null;
  return h("section", {}, h("h2", {}, s("downloads")), view.downloads.map(downloadCard));
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

// --- models that are here -----------------------------------------------------------------------

function here() {
  return h("section", {}, h("h2", {}, s("here")),
    view.models.every((one) => one.is_standin) ? h("p", { class: "quiet" }, s("empty")) : null,
    view.models.map(modelCard));
}

function modelCard(one) {
  const isReady = one.state === "ready";
  const facts = [one.name === one.file.replace(/\.gguf$/i, "") ? "" : one.file, one.architecture, one.quantization, one.n_params ? params(one.n_params) : "",
    gb(one.size), one.n_ctx_train ? s("context_of", { n: one.n_ctx_train.toLocaleString() }) : "",
    one.has_template ? "" : s("no_template")].filter(Boolean).join("　");
  return h("article", { class: `model ${one.state}`, "data-model": one.id },
    h("div", { class: "line" },
      h("strong", {}, one.name),
      isReady ? h("span", { class: "badge on" }, s("loaded")) : fitBadge(one.fit),
      h("span", { class: "buttons" }, modelButtons(one))),
    h("p", { class: "quiet" }, facts || one.file),
    one.problem ? h("p", { class: "bad" }, one.problem) : null,
    one.state === "failed" && !one.problem ? h("p", { class: "bad" }, one.failure) : null,
    one.state === "loading" ? h("div", { class: "bar", role: "progressbar", "aria-label": s("loading"),
      "aria-valuenow": Math.round(100 * one.fraction) },
      h("i", { class: "model", style: `width:${100 * one.fraction}%` })) : null,
    one.need ? needBar(one) : null,
    one.need && !one.problem ? settings(one) : null);
}

function params(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : `${Math.round(count / 1e6)}M`;
}

function fitBadge(fit) {
  return fit ? h("span", { class: `badge ${fit}` }, s(`fit_${fit}`)) : null;
}

function modelButtons(one) {
  if (one.problem) return [];
  const key = (label) => ({ "data-key": `${one.id} ${label}`, "aria-label": `${label} ${one.name}` });
  if (one.state === "loading") return [h("span", { class: "quiet" }, s("loading"))];
  const busy = Boolean(view.job?.is_running);
  return [
    one.state === "ready" ? button(s("talk"), () => talk(one), { ...key(s("talk")), class: "button primary" }) : null,
    one.state === "ready"
      ? button(s("unload"), () => act("unload", { model: one.id }), key(s("unload")))
      : button(s("load"), () => load(one), { ...key(s("load")), class: "button primary" }),
    button(s("measure"), () => act("measure", { model: one.id }), { ...key(s("measure")), disabled: busy }),
    one.can_quantize ? quantizeMenu(one, busy) : null,
  ];
}

function talk(one) {
  idsAtOpening = idsOf(view); // the answer to this draws the header: leaving must not, too
  send("model", { conversation: state.conversation, model: one.id });
  showView("chat");
}

async function load(one) {
  if (one.fit !== "impossible" || await confirmed(s("load_question", { name: one.name }), s("load"))) {
    act("load", { model: one.id });
  }
}

function quantizeMenu(one, busy) {
  const select = h("select", { class: "button", "aria-label": `${s("quantize")} ${one.name}`, disabled: busy,
    onchange: () => { const type = select.value; select.blur(); act("quantize", { model: one.id, type }); } },
    h("option", { value: "" }, s("quantize")),
    view.types.filter((type) => type.bits < 16).map((type) => h("option", { value: type.name },
      `${type.name}　${type.bits} bit　≈ ${gb(one.n_params * type.bits / 8)}`)));
  return select;
}

function needBar(one) {
  const { weights, kv, compute, total } = one.need;
  const most = Math.max(view.memory.available, total);
  const width = (bytes) => `width:${100 * bytes / most}%`;
  return h("div", { class: "need", "data-need": one.id },
    h("div", { class: `bar ${one.fit}` }, h("i", { class: "weights", style: width(weights) }),
      h("i", { class: "kv", style: width(kv) }), h("i", { class: "compute", style: width(compute) })),
    h("p", { class: "quiet" },
      s("need", { total: gb(total), weights: gb(weights), kv: gb(kv), rest: gb(compute) }),
      one.memory_now ? `　${s("measured", { size: gb(one.memory_now) })}` : ""),
    one.suggestions.length ? h("p", { class: "warn" }, s("helps"),
      one.suggestions.map((help) => s(`help_${help.remedy}`, { value: help.value })).join("、")) : null);
}

function drawPreview(id) {
  const one = view?.models.find((model) => model.id === id);
  const place = root.querySelector(`[data-need="${CSS.escape(id)}"]`);
  if (one && place) place.replaceWith(needBar({ ...one, ...previews.get(id), memory_now: 0 }));
}

const NUMBERS = { n_ctx: [0, 16777216], n_slots: [1, 64], n_threads: [0, 1024], n_gpu_layers: [-1, 10000] };
const CHOICES = { kv_type: ["f16", "q8_0"], flash_attn: ["auto", "on", "off"] };

function settings(one) {
  const draft = drafts.get(one.id) || { ...one.options };
  const id = `options ${one.id}`;
  const change = (name, value) => {
    draft[name] = value;
    drafts.set(one.id, draft);
    act("preview", { model: one.id, values: draft });
  };
  const field = (name, control) => h("label", {}, h("span", {}, s(name)), control);
  const number = (name, [low, high]) => field(name, h("input", { type: "number", min: low, max: high,
    placeholder: s("default"), value: String(draft[name] ?? ""), "data-key": `${one.id} ${name}`,
    onchange: (event) => change(name, event.target.value === "" ? null : Number(event.target.value)) }));
  const choice = (name, values) => field(name, h("select", { "data-key": `${one.id} ${name}`,
    onchange: (event) => change(name, event.target.value) },
    [["", s("default")], ...values].map(([value, label]) =>
      h("option", { value, selected: (draft[name] || "") === value }, label))));
  const details = h("details", { open: opened.has(id),
    ontoggle: () => opened[details.open ? "add" : "delete"](id) },
    h("summary", {}, s("options")),
    h("div", { class: "options" },
      Object.entries(NUMBERS).map(([name, range]) => number(name, range)),
      Object.entries(CHOICES).map(([name, values]) => choice(name, values.map((v) => [v, v]))),
      choice("family", view.families.map((family) => [family.name, family.title]))),
    h("div", { class: "line" }, h("span", { class: "quiet" }, s("options_note")),
      h("span", { class: "buttons" },
        button(s("save"), () => { drafts.delete(one.id); document.activeElement?.blur();
          act("options", { model: one.id, values: draft }); },
          { class: "button primary", "data-key": `${one.id} save` }))));
  return details;
}

// --- the catalogue ------------------------------------------------------------------------------

function catalogue() {
  const chosen = shownClass || view.ram_class;
  const isOfKind = (entry) => (kind === "articles" ? entry.is_article
    : kind === "search" ? !entry.is_text : entry.is_text && !entry.is_article && entry.ram_gb === chosen);
  const kinds = [["chat", s("kind_chat")], ["articles", s("kind_articles")], ["search", s("kind_search")]];
  const segment = (label, isOn, run) => h("button", { type: "button", "aria-pressed": String(isOn),
    "data-key": label, onclick: () => { run(); setTimeout(draw, 60); } }, label);
  return h("section", { class: "catalogue" },
    h("div", { class: "line" }, h("h2", {}, s("catalogue")),
      h("span", { class: "segments" }, kinds.map(([name, label]) =>
        segment(label, kind === name, () => { kind = name; })))),
    kind === "chat" ? h("div", { class: "line" },
      h("span", { class: "segments", role: "group", "aria-label": s("ram") }, [4, 8, 16, 32].map((size) =>
        segment(`${size} GB`, chosen === size, () => { shownClass = size; }))),
      h("span", { class: "quiet" }, s("rule"))) : null,
    view.problems.map((sentence) => h("p", { class: "bad" }, sentence)),
    h("div", { class: "entries" }, view.catalogue.filter(isOfKind).map(entryCard)),
    other());
}

function entryCard(entry) {
  const better = entry.better && view.catalogue.find((one) => one.id === entry.better);
  return h("article", { class: entry.is_recommended ? "entry first" : "entry", "data-entry": entry.id },
    h("div", { class: "line" }, h("strong", {}, entry.name),
      entry.is_recommended ? h("span", { class: "badge on" }, s("recommended")) : null),
    h("p", { class: "quiet" }, [entry.maker, entry.parameters,
      entry.n_ctx ? s("context_of", { n: entry.n_ctx.toLocaleString() }) : ""].filter(Boolean).join("　")),
    h("p", {}, entry.why),
    better ? h("p", { class: "quiet" }, s("better", { name: better.name })) : null,
    licence(entry),
    entry.is_text ? h("ul", { class: "files" }, entry.files.map((file) => fileLine(entry, file)))
      : h("p", { class: "quiet" }, s("not_here")));
}

function licence(entry) {
  const id = `licence ${entry.id}`;
  const details = h("details", { open: opened.has(id), ontoggle: () => {
    opened[details.open ? "add" : "delete"](id);
  } }, h("summary", {}, s("licence", { name: entry.license })),
  entry.license_url ? h("p", {}, h("a", { href: entry.license_url, target: "_blank",
    rel: "noopener noreferrer" }, entry.license_url)) : null,
  entry.license_text ? h("pre", {}, entry.license_text)
    : button(s("show_licence"), () => act("inspect", { entry: entry.id }),
      { "data-key": `${entry.id} licence`, title: entry.repository }),
  entry.is_gated ? h("p", { class: "warn" }, s("gated")) : null);
  return details;
}

function fileLine(entry, file) {
  const label = `${s("download")} ${entry.name} ${file.quantization}`;
  const running = view.downloads.find((one) => one.name === file.name && one.state !== "done");
  const size = `${file.is_estimate ? "≈ " : ""}${gb(file.bytes)}`;
  return h("li", {}, h("span", {}, `${file.quantization}　${size}`), fitBadge(file.fit),
    file.is_here ? h("span", { class: "badge on" }, s("is_here"))
      : running ? h("span", { class: "quiet" }, s(`state_${running.state}`))
        : button(s("download"), () => download(entry, file), { "aria-label": label, "data-key": label,
          class: file.is_default ? "button primary" : "button" }));
}

async function download(entry, file) {
  const values = { name: `${entry.name} ${file.quantization}`, size: gb(file.bytes),
    repository: entry.repository, licence: entry.license };
  if (await agreed(s("download_question", values), s("download"))) {
    act("download", { entry: entry.id, file: file.file });
  }
}

/** A question whose yes does no harm. */
async function agreed(question, yes) {
  const answer = confirmed(question, yes);
  document.querySelector("dialog.question:last-child .danger")?.classList.add("harmless");
  return answer;
}

function other() {
  const repository = h("input", { type: "text", placeholder: "maker/model-GGUF", "data-key": "repository",
    "aria-label": s("repository"), spellcheck: false });
  const file = h("input", { type: "text", placeholder: "model-Q4_K_M.gguf", "data-key": "file",
    "aria-label": s("file"), spellcheck: false });
  return h("details", { class: "other" }, h("summary", {}, s("other")),
    h("form", { class: "line", onsubmit: (event) => {
      event.preventDefault();
      act("download_other", { repository: repository.value, file: file.value });
      document.activeElement?.blur();
    } }, repository, file, h("button", { class: "button", type: "submit" }, s("download"))));
}

// --- measurements -------------------------------------------------------------------------------

function bench() {
  const { rows, csv, markdown } = view.bench;
  const job = view.job;
  return h("section", { class: "bench" }, h("h2", {}, s("bench")),
    job ? jobLine(job) : null,
    rows.length ? [plot(rows), resultTable(rows),
      h("p", { class: "buttons" },
        saveAs("kajogaki-bench.md", "text/markdown", markdown), saveAs("kajogaki-bench.csv", "text/csv", csv),
        button(s("clear_results"), () => act("clear_results")))]
      : h("p", { class: "quiet" }, s("bench_empty")));
}

function jobLine(job) {
  const sentence = job.error || s(job.is_running ? `job_${job.kind}` : `job_${job.kind}_done`, { name: job.name });
  const width = job.total ? 100 * job.done / job.total : 0;
  return h("div", { class: job.error ? "job bad" : "job", role: "status" },
    h("div", { class: "line" }, h("span", {}, sentence),
      job.is_running ? button(s("cancel"), () => act("cancel_job"), { "data-key": "cancel job" }) : null),
    job.is_running ? h("div", { class: "bar" }, h("i", { class: "model", style: `width:${width}%` })) : null);
}

function resultTable(rows) {
  const head = ["model", "streams", "reading", "writing", "first", "memory_column", "feels"];
  return h("div", { class: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((key) => h("th", { scope: "col" }, s(`column_${key}`))))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", {}, row.name, h("span", { class: "quiet" }, `　${row.quantization}　${gb(row.size_bytes)}`)),
      h("td", {}, String(row.num_streams)),
      h("td", {}, row.prompt_per_s.toFixed(1)),
      h("td", {}, row.generated_per_s.toFixed(1)),
      h("td", {}, `${row.first_token_s.toFixed(2)} s`),
      h("td", {}, gb(row.memory_bytes)),
      h("td", {}, s(`rating_${row.rating}`)))))));
}

/** Size against speed of one stream, both growing from zero. */
function plot(rows) {
  const points = rows.filter((row) => row.num_streams === 1);
  if (points.length < 2) return null;
  const [width, height, left, bottom, top] = [640, 270, 54, 50, 26];
  const mostX = 1.15 * Math.max(...points.map((row) => row.size_bytes));
  const mostY = 1.2 * Math.max(...points.map((row) => row.generated_per_s));
  const x = (bytes) => left + (width - left - 12) * bytes / mostX;
  const y = (speed) => height - bottom - (height - bottom - top) * speed / mostY;
  const namespace = "http://www.w3.org/2000/svg";
  const shape = (tag, properties, text = "") => {
    const element = document.createElementNS(namespace, tag);
    for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img",
    "aria-label": s("plot") });
  for (const part of [0, .25, .5, .75, 1]) {
    svg.append(shape("line", { x1: left, x2: width - 12, y1: y(mostY * part), y2: y(mostY * part), class: "grid" }),
      shape("text", { x: left - 8, y: y(mostY * part) + 4, "text-anchor": "end" }, (mostY * part).toFixed(1)),
      shape("text", { x: x(mostX * part), y: height - bottom + 18, "text-anchor": "middle" }, (mostX * part / GB).toFixed(2)));
  }
  svg.append(shape("text", { x: width - 12, y: height - 8, "text-anchor": "end", class: "axis" }, s("axis_size")),
    shape("text", { x: left - 44, y: 14, class: "axis" }, s("axis_speed")));
  for (const row of points) {
    svg.append(shape("circle", { cx: x(row.size_bytes), cy: y(row.generated_per_s), r: 6 }),
      shape("text", { x: x(row.size_bytes) + 10, y: y(row.generated_per_s) + 4, class: "point" },
        row.quantization || row.name));
  }
  return svg;
}

function saveAs(name, type, text) {
  return button(s("save_as", { name }), () => {
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }, { "data-key": name });
}
