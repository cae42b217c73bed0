// The モデル view's models that are here: loading, options, what each needs, quantising.

import { h, send, state } from "./core.js";
import { confirmed } from "./dialogs.js";
import { act, button, disclosure, fitBadge, gb, page, params, s } from "./models_page.js";
import { showView } from "./navigation.js";

const drafts = new Map(); // model -> options being edited
let keepHeader = () => {};

/** What must be done before the header is drawn for another reason. */
export function onTalk(run) { keepHeader = run; }

export function here() {
  return h("section", {}, h("h2", {}, s("here")),
    page.view.models.every((one) => one.is_ours) ? h("p", { class: "quiet" }, s("empty")) : null,
    page.view.models.map(modelCard));
}

function modelCard(one) {
  const isReady = one.state === "ready";
  const facts = [one.name === one.file.replace(/\.gguf$/i, "") ? "" : one.file, one.architecture, one.quantization, one.n_params ? params(one.n_params) : "",
    gb(one.size), one.n_ctx_train ? s("context_of", { n: one.n_ctx_train.toLocaleString() }) : "",
    one.languages, one.has_template ? "" : s("no_template")].filter(Boolean).join("　");
  return h("article", { class: `model ${one.state}`, "data-model": one.id },
    h("div", { class: "line" },
      h("strong", {}, one.name),
      one.id === state.model ? h("span", { class: "in-use", title: s("in_use_detail") }, s("in_use")) : null,
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

function modelButtons(one) {
  const key = (label) => ({ "data-key": `${one.id} ${label}`, "aria-label": `${label} ${one.name}` });
  const unload = button(s("unload"), () => act("unload", { model: one.id }), key(s("unload")));
  if (one.problem) return one.state === "ready" ? [unload] : [];
  if (one.state === "loading") return [h("span", { class: "quiet" }, s("loading"))];
  const busy = Boolean(page.view.job?.is_running);
  return [
    one.state === "ready" ? button(s("talk"), () => talk(one), { ...key(s("talk")), class: "button primary", "data-free": "true" }) : null,
    one.state === "ready"
      ? unload
      : button(s("load"), () => load(one), { ...key(s("load")), class: "button primary" }),
    button(s("measure"), () => act("measure", { model: one.id }), { ...key(s("measure")), disabled: busy }),
    one.can_quantize ? quantizeMenu(one, busy) : null,
  ];
}

function talk(one) {
  keepHeader(); // the answer to this draws it: leaving must not, too
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
    page.view.types.filter((type) => type.bits < 16).map((type) => h("option", { value: type.name },
      quantization(one, type))));
  return select;
}

/** Bits, use, and what the file would be: its size, and memory with this model's context. */
function quantization(one, type) {
  const size = one.n_params * type.bits / 8;
  const memory = one.need ? `　${s("memory")} ≈ ${gb(size + one.need.kv + one.need.compute)}` : "";
  return `${type.name}　${type.bits} bit　≈ ${gb(size)}${memory}　${s(`type_use_${type.use}`)}`;
}

function needBar(one) {
  const { weights, kv, compute, total } = one.need;
  const most = Math.max(page.view.memory.available, total);
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

export function drawPreview(preview) {
  const id = preview.model;
  const one = page.view?.models.find((model) => model.id === id);
  const place = page.root.querySelector(`[data-need="${CSS.escape(id)}"]`);
  if (one && place) place.replaceWith(needBar({ ...one, ...preview, memory_now: 0 }));
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
  return disclosure(id, s("options"),
    h("div", { class: "options" },
      Object.entries(NUMBERS).map(([name, range]) => number(name, range)),
      Object.entries(CHOICES).map(([name, values]) => choice(name, values.map((v) => [v, v]))),
      choice("family", page.view.families.map((family) => [family.name, family.title]))),
    h("div", { class: "line" }, h("span", { class: "quiet" }, s("options_note")),
      h("span", { class: "buttons" },
        button(s("save"), () => { drafts.delete(one.id); document.activeElement?.blur();
          act("options", { model: one.id, values: draft }); },
          { class: "button primary", "data-key": `${one.id} save` }))));
}

