// Search in the documents while one types, and the way from there to a question.

import { h, icon, iconButton } from "./core.js";
import { act, cut, s, shown } from "./documents_core.js";
import { openSource } from "./source.js";

const DELAY_MS = 150;
const LOST_MS = 10_000; // an answer is not waited for any longer

let box = null;
let results = null;
let timer = 0;
let found = null;
let asked = null; // what is being searched for: one search at a time, as a model may have to load
let lost = 0;

/** The line to type in, and the place of what is found. `onQuery` hears whether something is asked. */
export function finder(onQuery, onAsk) {
  box = h("input", { type: "search", placeholder: s("find_hint"), "aria-label": s("find"),
    enterkeyhint: "search", autocomplete: "off", maxlength: "2000" });
  const ask = h("button", { type: "submit", class: "button primary" }, s("ask"));
  const form = h("form", { class: "find", role: "search", onsubmit: (event) => {
    event.preventDefault();
    if (box.value.trim()) onAsk(box.value.trim());
  } }, icon("search"), box, iconButton("close", s("clear"), () => { box.value = ""; begin(); box.focus(); },
    { class: "icon-button clear" }), ask);
  const begin = () => {
    clearTimeout(timer);
    const question = box.value.trim();
    form.classList.toggle("empty", !question);
    onQuery(Boolean(question));
    if (!question) { found = null; drawFound(); } else timer = setTimeout(searchAgain, DELAY_MS);
  };
  form.classList.add("empty");
  box.addEventListener("input", begin);
  results = h("section", { class: "found", "aria-live": "polite", hidden: true });
  return [form, results];
}

/** Search for what the line says, in the collection that is shown; soon, while a search is under way. */
export function searchAgain() {
  const question = box?.value.trim();
  if (!question || asked !== null) return;
  asked = current();
  lost = setTimeout(goOn, LOST_MS);
  act("search", { question });
}

export function takeFound(answer) {
  const isOlder = asked !== null && asked !== current();
  goOn();
  if (isOlder || answer.question !== box?.value.trim()) return;
  found = answer;
  drawFound();
}

/** The search is over, or given up: the next one, when something else was typed meanwhile. */
function goOn() {
  clearTimeout(lost);
  const last = asked;
  asked = null;
  if (last !== null && last !== current()) searchAgain();
}

const current = () => `${shown.collection}\n${box?.value.trim()}`;

function drawFound() {
  results.hidden = !found;
  if (!found) { results.replaceChildren(); return; }
  const { passages, num_hits: hits, num_hits_shown: shownHits } = found;
  results.replaceChildren(
    h("p", { class: "quiet" }, summary()),
    ...(found.problem ? [h("p", { class: "warn" }, found.problem)] : []),
    list(passages.slice(0, shownHits), 0),
    ...(passages.length > shownHits ? [
      h("h3", { class: "near" }, s(found.used_vectors ? "near_by_meaning" : "near_by_words")),
      list(passages.slice(shownHits), shownHits)] : []));

  function summary() {
    if (!hits) return s(passages.length ? "no_hits" : "nothing_found");
    const n = found.is_all ? hits : s("or_more", { n: hits });
    return s(hits > shownHits ? "found_some" : "found", { n, shown: shownHits,
      how: s(found.used_vectors ? "by_meaning" : "by_words") });
  }
}

function list(passages, first) {
  return h("ol", { class: "passages" }, passages.map((one, index) => h("li", {},
    h("button", { type: "button", class: "passage", onclick: (event) => open(first + index, event.currentTarget) },
      h("span", { class: "from" }, h("strong", {}, one.name), pageLabel(one), one.title ? h("span", { class: "quiet" }, one.title) : null),
      h("span", { class: "words" }, markedText(one.text, one.marks))))));
}

function pageLabel(one) {
  const document = shown.view?.documents.find((item) => item.id === one.document);
  if (one.at) return h("span", { class: "page" }, one.at);
  if (document && !document.has_pages) return null;
  return h("span", { class: "page" }, one.page_to > one.page ? `p.${one.page}–${one.page_to}` : `p.${one.page}`);
}

/** `text` with its marks; a long one begins a little before the first of them. */
function markedText(text, marks) {
  const pieces = [];
  const parts = cut(text, ...marks.flat());
  parts.forEach((part, index) => pieces.push(index % 2 ? h("mark", {}, part) : part));
  if (marks.length && parts[0].length > 60) pieces[0] = `…${parts[0].slice(-40)}`;
  return pieces;
}

function open(index, opener) {
  openSource(found.passages.map((one) => ({ document: one.document, page: one.page, span: one.span,
    name: one.name })), index, opener);
}
