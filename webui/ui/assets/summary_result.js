// A finished summary: bullets beside the text they rest on, changed, copied, saved, made once more.

import { copyText } from "./clipboard.js";
import { emit, fit, h, icon, iconButton, isPhone, openConversation } from "./core.js";
import { menu, toast } from "./dialogs.js";
import { request } from "./server.js";
import { button, s, time } from "./summary_core.js";
import { Options } from "./summary_form.js";

const MAX_CHAT_CHARS = 20_000;
const MARKS = { unsupported: "whole", unaligned: "whole", negation: "hint" };
const EXPORTS = ["docx", "md", "txt", "json"];

export class Result {
  #element;
  #again; // ({again, model, options}) => …
  #table = null;
  #shown = null;

  constructor(element, again) {
    this.#element = element;
    this.#again = again;
  }

  /** `shown`: as GET /summaries/{id} tells it; null for none. */
  show(shown, table) {
    this.#shown = shown;
    this.#table = table;
    this.#element.hidden = !shown;
    this.#element.replaceChildren(...(shown ? this.#nodes() : []));
  }

  #nodes() {
    const shown = this.#shown;
    const again = h("div", { class: "again", hidden: true });
    const source = h("div", { class: "original", tabIndex: 0, "aria-label": s("source") }, this.#sourceText());
    return [
      h("div", { class: "line" }, h("h2", {}, shown.title), h("span", { class: "buttons" }, this.#buttons(again))),
      again,
      h("p", { class: "quiet" }, s("took", { time: time(shown.total_s) }),
        languageText(shown), " ", shown.made_by),
      ...shown.notes.map((note) => h("p", { class: "warn" }, note)),
      h("div", { class: "both" },
        h("div", { class: "bullets" }, this.#strip(), this.#bullets()),
        h("div", { class: "beside" }, h("h3", {}, s("source")), source)),
    ];
  }

  #buttons(again) {
    const exporting = button([icon("external"), s("download")], () => menu(exporting, EXPORTS.map((kind) =>
      ({ icon: "file", label: s(`kind_${kind}`), href: `/summaries/${this.#shown.id}.${kind}` }))),
    { "aria-haspopup": "menu" });
    const once = button([icon("retry"), s("again")], () => this.#toggleAgain(once, again), { "aria-expanded": "false" });
    return [
      button([icon("copy"), s("copy")], () => copy(plainText(this.#shown))),
      button([icon("copy"), s("copy_sources")], () => copy(textWithSources(this.#shown))),
      exporting, once,
      button(s("chat"), () => this.#continueInChat()),
    ];
  }

  #toggleAgain(opener, box) {
    box.hidden = !box.hidden;
    opener.setAttribute("aria-expanded", String(!box.hidden));
    if (box.hidden) return;
    const { models } = this.#table;
    const known = models.some((one) => one.id === this.#shown.model_id);
    const options = new Options({ models, model: known ? this.#shown.model_id : this.#table.model,
      values: this.#shown.settings });
    box.replaceChildren(options.element, h("div", { class: "line" },
      h("span", { class: "quiet" }, s("again_hint")), h("span", { class: "buttons" },
        button(s("again_start"), () => this.#again({ again: this.#shown.id, ...options.values }),
          { class: "button primary" }))));
  }

  #continueInChat() {
    const shown = this.#shown;
    const text = shown.text.length <= MAX_CHAT_CHARS ? shown.text : plainText(shown);
    openConversation("");
    emit("compose", `${s("chat_begin", { title: shown.title })}\n\n${text}\n\n`);
  }

  // --- bullets ----------------------------------------------------------------------------------

  #bullets() {
    let section = "";
    return h("ol", { class: "result" }, this.#shown.bullets.map((bullet, index) => {
      const head = bullet.section && bullet.section !== section ? h("h3", {}, section = bullet.section) : null;
      const item = h("li", {}, head);
      item.append(this.#bulletRow(item, bullet, index), ...(bullet.flags.length ? [flags(bullet)] : []));
      return item;
    }));
  }

  #bulletRow(item, bullet, index) {
    const pages = [...new Set(bullet.sources.filter((one) => one.page || one.place).map((one) => one.at))];
    const row = h("div", { class: "bullet-row" },
      h("button", { type: "button", class: "bullet", "data-bullet": String(index), "aria-pressed": "false",
        onclick: () => this.#chooseBullet(index) }, h("span", { class: "words" }, marked(bullet)),
      bullet.is_edited ? h("span", { class: "pages" }, s("edited")) : null,
      pages.length ? h("span", { class: "pages" }, pages.join(" ")) : null),
      h("span", { class: "bullet-tools" },
        iconButton("pencil", s("edit_bullet"), () => this.#edit(row, bullet, index)),
        iconButton("trash", s("delete_bullet"), () => this.#change("DELETE", index, { was: bullet.text }, () =>
          toast(s("bullet_deleted"), { action: { label: s("restore"), run: () => this.#putBack() } })))));
    return row;
  }

  #edit(row, bullet, index) {
    const kept = [...row.childNodes];
    const close = () => { row.classList.remove("editing"); row.replaceChildren(...kept); };
    const save = () => {
      if (box.value.trim() === bullet.text) return close();
      return this.#change("PUT", index, { was: bullet.text, text: box.value });
    };
    const box = h("textarea", { class: "bullet-box", rows: 1, "aria-label": s("edit_bullet"),
      oninput: () => fit(box),
      onkeydown: (event) => {
        if (event.key === "Escape") close();
        if (event.key !== "Enter" || event.shiftKey) return;
        event.preventDefault();
        save();
      } });
    box.value = bullet.text;
    row.classList.add("editing");
    row.replaceChildren(box, h("span", { class: "buttons" }, button(s("dismiss"), close),
      button(s("save"), save, { class: "button primary" })));
    fit(box);
    box.focus();
  }

  async #change(method, index, body, then = () => {}) {
    const { id } = this.#shown;
    await this.#taken(request(method, `/summaries/${id}/bullets/${index}`, body), then);
  }

  async #putBack() {
    await this.#taken(request("POST", `/summaries/${this.#shown.id}/bullets/restore`), () => {});
  }

  /** Show the summary as the server has it now. */
  async #taken(answer, then) {
    try {
      const shown = await answer;
      if (shown.id === this.#shown?.id) this.show(shown, this.#table);
      then();
    } catch (error) {
      toast(error.message, { isError: true });
    }
  }

  // --- the text beside them -----------------------------------------------------------------------

  /** The text as it is, its paragraphs kept; sentences that bullets rest on can be chosen. */
  #sourceText() {
    const { bullets, places, sentences, text } = this.#shown;
    const owners = new Map(); // start of a sentence -> bullets
    bullets.forEach((bullet, index) => bullet.sources.forEach((one) =>
      owners.set(one.start, [...(owners.get(one.start) || []), index])));
    const chars = [...text];
    const pieces = [];
    let position = 0;
    let page = 0;
    let next = 0; // of the places
    for (const [start, end, at] of sentences) {
      pieces.push(chars.slice(position, start).join(""));
      if (at && at !== page) pieces.push(h("span", { class: "page" }, `p.${page = at}`));
      const last = next;
      while (next < places.length && places[next][0] <= start) next += 1;
      if (next > last) pieces.push(h("span", { class: "page" }, places[next - 1][1]));
      const sentence = chars.slice(start, end).join("");
      const of = owners.get(start);
      pieces.push(of ? this.#sentence(start, sentence, of) : sentence);
      position = end;
    }
    return [...pieces, chars.slice(position).join("")];
  }

  #sentence(start, text, bullets) {
    const choose = () => this.#chooseSentence(start, bullets);
    return h("span", { class: "sentence", role: "button", tabIndex: 0, "data-start": String(start),
      onclick: choose,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      } }, text);
  }

  /** A bullet → the sentences it rests on; once more → none. */
  #chooseBullet(index) {
    const again = this.#element.querySelector(`[data-bullet="${index}"]`).getAttribute("aria-pressed") === "true";
    const starts = again ? [] : this.#shown.bullets[index].sources.map((one) => one.start);
    this.#mark(again ? [] : [index], starts);
    this.#reveal(`.sentence[data-start="${starts[0]}"]`);
  }

  /** A sentence → every bullet that rests on it. */
  #chooseSentence(start, bullets) {
    this.#mark(bullets, [start]);
    this.#reveal(`[data-bullet="${bullets[0]}"]`);
  }

  #mark(bullets, starts) {
    for (const one of this.#element.querySelectorAll(".bullet")) {
      one.setAttribute("aria-pressed", String(bullets.includes(Number(one.dataset.bullet))));
    }
    for (const one of this.#element.querySelectorAll(".sentence")) {
      one.classList.toggle("on", starts.includes(Number(one.dataset.start)));
    }
  }

  #reveal(selector) {
    this.#element.querySelector(selector)
      ?.scrollIntoView({ block: isPhone() ? "center" : "nearest", behavior: "auto" });
  }

  #strip() {
    const { covered } = this.#shown;
    const percent = Math.round(100 * covered.reduce((sum, one) => sum + (one > 0), 0) / covered.length);
    return h("figure", { class: "coverage" },
      h("div", { class: "cells", role: "img", "aria-label": s("coverage", { percent }) },
        covered.map((share, index) => h("i", { class: share > 0 ? "yes" : "",
          style: `opacity:${share > 0 ? 0.35 + 0.65 * share : 1}`,
          onclick: () => this.#scrollSource(index / covered.length) }))),
      h("figcaption", { class: "quiet" }, s("coverage", { percent })));
  }

  #scrollSource(share) {
    const box = this.#element.querySelector(".original");
    box.scrollTop = share * box.scrollHeight;
  }
}

async function copy(text) {
  await copyText(text);
  toast(s("copied"));
}

const plainText = (shown) => shown.bullets.map((bullet) => `・${bullet.text}`).join("\n");

function textWithSources(shown) {
  const lines = shown.bullets.flatMap((bullet) => [`・${bullet.text}`, ...bullet.sources.map((one) =>
    `　　${s("source_label", { quote: `${one.at} 「${one.quote}」`.trim() })}`)]);
  return [...lines, "", ...shown.notes, shown.made_by].join("\n");
}

/** How often the language had to be asked for again; quotes are in the source's. */
function languageText(shown) {
  if (shown.is_verbatim) return "";
  return s(shown.language_ok ? "language_ok" : "language_mixed",
    { percent: Math.round(100 * shown.first_try_share) });
}

function flags(bullet) {
  return h("ul", { class: "flags" }, bullet.flags.map((flag) =>
    h("li", { class: MARKS[flag.kind] || "fact" }, flag.label)));
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
