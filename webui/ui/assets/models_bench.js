// The モデル view's measurements: comparing, the table, the plot; what is made by hand (conversion).

import { h } from "./core.js";
import { act, button, disclosure, gb, page, s } from "./models_page.js";

export function bench() {
  const { rows, csv, markdown, plot } = page.view.bench;
  const job = page.view.job;
  return h("section", { class: "bench" }, h("h2", {}, s("bench")),
    job ? jobLine(job) : null,
    compare(job?.is_running),
    rows.length ? [plot ? picture(plot) : null, resultTable(rows),
      h("p", { class: "buttons" },
        saveAs("kajogaki-bench.md", "text/markdown", markdown), saveAs("kajogaki-bench.csv", "text/csv", csv),
        plot ? saveAs("kajogaki-bench.svg", "image/svg+xml", plot) : null,
        button(s("clear_results"), () => act("clear_results")))]
      : h("p", { class: "quiet" }, s("bench_empty")),
    types(), convert(job?.is_running));
}

const comparing = { models: null, text: "ours", own: "" }; // models: null = all

function compare(isBusy) {
  const able = page.view.models.filter((one) => !one.problem && !one.is_remote);
  const isChosen = (one) => (comparing.models ? comparing.models.has(one.id) : !one.is_ours);
  const boxes = able.map((one) => h("label", { class: "check" }, h("input", { type: "checkbox",
    checked: isChosen(one), "data-key": `compare ${one.id}`, onchange: (event) => {
      comparing.models ||= new Set(able.filter(isChosen).map((other) => other.id));
      comparing.models[event.target.checked ? "add" : "delete"](one.id);
      event.target.blur();
    } }), h("span", {}, one.name)));
  const own = h("textarea", { rows: 5, "aria-label": s("own_text"), placeholder: s("own_text"),
    "data-key": "own text", hidden: comparing.text !== "own",
    oninput: () => { comparing.own = own.value; } }, comparing.own);
  const source = h("select", { class: "button", "aria-label": s("compare_text"), "data-key": "text",
    onchange: () => { comparing.text = source.value; own.hidden = source.value !== "own"; source.blur(); } },
    ["ours", "own", "none"].map((name) => h("option", { value: name, selected: comparing.text === name },
      s(`text_${name}`))));
  return disclosure("compare", s("compare"), h("p", { class: "quiet" }, s("compare_note")),
    h("div", { class: "checks" }, boxes),
    h("div", { class: "line" }, h("label", { class: "line quiet" }, s("compare_text"), source),
      button(s("compare_go"), () => act("compare", {
        models: able.filter(isChosen).map((one) => one.id),
        perplexity: comparing.text !== "none", text: comparing.text === "own" ? comparing.own : "",
      }), { class: "button primary", disabled: Boolean(isBusy) })),
    own);
}

function types() {
  const head = ["type", "bits", "size", "use"];
  return disclosure("types", s("types"), h("div", { class: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((key) => h("th", { scope: "col" }, s(`types_head_${key}`))))),
    h("tbody", {}, page.view.types.map((type) => h("tr", {},
      h("td", {}, type.name), h("td", {}, type.bits.toFixed(2)), h("td", {}, gb(8e9 * type.bits / 8)),
      h("td", {}, s(`type_use_${type.use}`))))))));
}

const converting = { folder: "", kind: "" };

function convert(isBusy) {
  const folder = h("input", { type: "text", "data-key": "convert folder", spellcheck: false,
    placeholder: s("convert_folder"), "aria-label": s("convert_folder"), value: converting.folder,
    oninput: () => { converting.folder = folder.value; } });
  const kind = h("select", { class: "button", "data-key": "convert kind", "aria-label": s("convert_kind"),
    onchange: () => { converting.kind = kind.value; kind.blur(); } },
    page.view.kinds.map((name) => h("option", { value: name, selected: converting.kind === name }, name)));
  return h("div", { class: "other" }, disclosure("convert", s("convert"), h("p", { class: "quiet" }, s("convert_note")),
    h("form", { class: "line", onsubmit: (event) => {
      event.preventDefault();
      act("convert", { folder: folder.value, kind: kind.value });
      document.activeElement?.blur();
    } }, folder, kind, h("button", { class: "button", type: "submit", disabled: Boolean(isBusy) }, s("convert_go")))));
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
  const head = ["model", "streams", "reading", "writing", "first", "memory_column", "feels", "perplexity", "ratio"];
  return h("div", { class: "table results" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((key) => h("th", { scope: "col" }, s(`column_${key}`))))),
    h("tbody", {}, rows.map((row) => h("tr", {},
      h("td", {}, row.name, h("span", { class: "quiet" }, `${row.name.endsWith(row.quantization) ? "" : `　${row.quantization}`}　${gb(row.size_bytes)}`)),
      speedCells(row), perplexityCells(row))))));
}

function speedCells(row) {
  const cells = row.num_streams ? [String(row.num_streams), row.prompt_per_s.toFixed(1),
    row.generated_per_s.toFixed(1), `${row.first_token_s.toFixed(2)} s`, gb(row.memory_bytes),
    s(`rating_${row.rating}`)] : Array(6).fill("");
  return cells.map((cell) => h("td", {}, cell));
}

function perplexityCells(row) {
  if (!row.perplexity) return [h("td"), h("td")];
  const withError = (value, error, digits) => `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
  const digits = row.perplexity < 1000 ? 2 : 0;
  return [h("td", {}, withError(row.perplexity, row.perplexity_error, digits)),
    h("td", {}, row.perplexity_ratio_error ? withError(row.perplexity_ratio, row.perplexity_ratio_error, 4)
      : row.perplexity_ratio.toFixed(4))];
}

/** Drawn by the server as SVG; all names in it are escaped there. */
function picture(svg) {
  const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  const element = document.importNode(parsed, true);
  element.classList.add("plot");
  return h("div", { class: "picture" }, element);
}

function saveAs(name, type, text) {
  return button(s("save_as", { name }), () => {
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }, { "data-key": name, "data-free": "true" });
}
