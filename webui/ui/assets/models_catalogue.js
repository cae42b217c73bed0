// The モデル view's catalogue: what one may download, by memory and use, with licences.

import { h } from "./core.js";
import { confirmed } from "./dialogs.js";
import { act, button, disclosure, fitBadge, gb, page, s } from "./models_page.js";

export const shown = { kind: "chat", ramClass: 0 }; // 0 = as the machine has

export function catalogue() {
  const chosen = shown.ramClass || page.view.ram_class;
  const isOfKind = (entry) => (shown.kind === "articles" ? entry.is_article
    : shown.kind === "search" ? !entry.is_text : entry.is_text && !entry.is_article && entry.ram_gb === chosen);
  const kinds = [["chat", s("kind_chat")], ["articles", s("kind_articles")], ["search", s("kind_search")]];
  const segment = (label, isOn, run) => h("button", { type: "button", "aria-pressed": String(isOn),
    "data-key": label, onclick: () => { run(); setTimeout(page.draw, 60); } }, label);
  return h("section", { class: "catalogue" },
    h("div", { class: "line" }, h("h2", {}, s("catalogue")),
      h("span", { class: "segments" }, kinds.map(([name, label]) =>
        segment(label, shown.kind === name, () => { shown.kind = name; })))),
    shown.kind === "chat" ? h("div", { class: "line" },
      h("span", { class: "segments", role: "group", "aria-label": s("ram") }, [4, 8, 16, 32].map((size) =>
        segment(`${size} GB`, chosen === size, () => { shown.ramClass = size; }))),
      h("span", { class: "quiet" }, s("rule"))) : null,
    page.view.problems.map((sentence) => h("p", { class: "bad" }, sentence)),
    h("div", { class: "entries" }, page.view.catalogue.filter(isOfKind).map(entryCard)),
    other());
}

function entryCard(entry) {
  const better = entry.better && page.view.catalogue.find((one) => one.id === entry.better);
  return h("article", { class: entry.is_recommended ? "entry first" : "entry", "data-entry": entry.id },
    h("div", { class: "line" }, h("strong", {}, entry.name),
      entry.is_recommended ? h("span", { class: "badge on" }, s("recommended")) : null),
    h("p", { class: "quiet" }, [entry.maker, entry.parameters,
      entry.n_ctx ? s("context_of", { n: entry.n_ctx.toLocaleString() }) : ""].filter(Boolean).join("　")),
    h("p", {}, entry.why),
    better ? h("p", { class: "quiet" }, s("better", { name: better.name })) : null,
    licence(entry),
    unverified(entry),
    h("ul", { class: "files" }, entry.files.length ? entry.files.map((file) => fileLine(entry, file))
      : folderLine(entry)));
}

function licence(entry) {
  return disclosure(`licence ${entry.id}`, s("licence", { name: entry.license }),
    entry.license_url ? h("p", {}, h("a", { href: entry.license_url, target: "_blank",
      rel: "noopener noreferrer" }, entry.license_url)) : null,
    entry.license_text ? h("pre", {}, entry.license_text)
      : button(s("show_licence"), () => act("inspect", { entry: entry.id }),
        { "data-key": `${entry.id} licence`, title: entry.repository }),
    entry.is_gated ? h("p", { class: "warn" }, s("gated")) : null);
}

/** What nobody has looked up at the source yet; quietly. */
function unverified(entry) {
  if (!entry.unverified.length) return null;
  const parts = entry.unverified.map((part) => s(`unverified_${part}`)).join("、");
  return h("p", { class: "quiet unverified" }, s("unverified", { parts }));
}

function fileLine(entry, file) {
  const label = `${s("download")} ${entry.name} ${file.quantization}`;
  const running = page.view.downloads.find((one) => one.name === file.name && one.state !== "done");
  const size = file.bytes ? `${file.is_estimate ? "≈ " : ""}${gb(file.bytes)}` : "";
  return h("li", {}, h("span", {}, [file.quantization, size].filter(Boolean).join("　")), fitBadge(file.fit),
    file.is_here ? h("span", { class: "badge on" }, s("is_here"))
      : running ? h("span", { class: "quiet" }, s(`state_${running.state}`))
        : button(s("download"), () => download(entry, file), { "aria-label": label, "data-key": label,
          class: file.is_default ? "button primary" : "button" }));
}

/** A model of several files. */
function folderLine(entry) {
  const file = { name: entry.id, file: "", quantization: "", bytes: entry.bytes, is_estimate: true,
    is_here: entry.is_here, is_default: entry.is_recommended };
  return [fileLine(entry, file), h("li", { class: "quiet" }, s("for_search", { id: entry.id }))];
}

async function download(entry, file) {
  const values = { name: `${entry.name} ${file.quantization}`.trim(), size: file.bytes ? gb(file.bytes) : "?",
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
  return h("div", { class: "other" }, disclosure("other", s("other"),
    h("form", { class: "line", onsubmit: (event) => {
      event.preventDefault();
      act("download_other", { repository: repository.value, file: file.value });
      document.activeElement?.blur();
    } }, repository, file, h("button", { class: "button", type: "submit" }, s("download")))));
}
