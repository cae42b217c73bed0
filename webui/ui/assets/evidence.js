// What an answer rests on: [n] as links to the source panel, doubtful words marked in place, the
// sources below, and what was nearest where the documents do not say it.

import { h, icon, t } from "./core.js";
import { openSource } from "./source.js";

const NOT_INSIDE = "pre, code, a, button, .katex, figure";
const MARK = /\[(\d{1,2})\]/g;

/** Make `body` (a drawn answer) live, and return what stands below it. */
export function showEvidence(body, evidence) {
  // Sentences first, because words are inside of them; links last, because they cut the text.
  const byLength = [...evidence.flags].sort((a, b) => b.is_whole - a.is_whole);
  const unseen = byLength.filter((flag) => !markFlag(body, flag));
  linkMarks(body, evidence);
  return [
    evidence.notice ? h("p", { class: "evidence-note" }, evidence.notice) : null,
    evidence.flags.length ? h("p", { class: "doubts" }, t("doubts")) : null,
    ...unseen.map((flag) => h("p", { class: "doubts" }, `${flag.label}: ${flag.text}`)),
    evidence.places.length ? sources(evidence.places) : null,
    evidence.nearest.length ? nearest(evidence.nearest) : null,
  ].filter(Boolean);
}

const open = (list, index) => (event) => openSource(list, index, event.currentTarget);

function linkMarks(body, { marks, places }) {
  const left = new Map(); // number -> places of its marks, in order
  for (const [number, index] of marks) left.set(number, [...(left.get(number) || []), index]);
  for (const node of textNodes(body)) {
    const pieces = [];
    let position = 0;
    for (const found of node.data.matchAll(MARK)) {
      const wanted = left.get(Number(found[1]));
      if (!wanted?.length) continue;
      const index = wanted.length > 1 ? wanted.shift() : wanted[0];
      pieces.push(node.data.slice(position, found.index), cite(places, index));
      position = found.index + found[0].length;
    }
    if (position) node.replaceWith(...pieces, node.data.slice(position));
  }
}

function cite(places, index) {
  const place = places[index];
  return h("button", { type: "button", class: "cite", "aria-label": t("cite", { n: place.number, from: from(place) }),
    title: from(place), onclick: open(places, index) }, String(place.number));
}

const from = (place) => (place.at ? `${place.name} ${place.at}` : place.name);

function textNodes(body) {
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(NOT_INSIDE)) found.push(walker.currentNode);
  return found;
}

/** Whether its place was found: formatting may have cut the text there. */
function markFlag(body, { text, nth, label, is_whole: isWhole }) {
  if (!text) return true;
  let seen = 0;
  for (const node of textNodes(body)) {
    for (let at = node.data.indexOf(text); at >= 0; at = node.data.indexOf(text, at + text.length)) {
      if (seen++ !== nth) continue;
      const word = node.splitText(at);
      word.splitText(text.length);
      word.replaceWith(h("mark", { class: isWhole ? "doubt whole" : "doubt", title: label }, text));
      return true;
    }
  }
  return false;
}

function sources(places) {
  const firsts = places.filter((place, index) => places.findIndex((one) => one.number === place.number) === index);
  return h("ul", { class: "sources", "aria-label": t("sources") }, firsts.map((place) => h("li", {},
    h("button", { type: "button", class: "source-chip", onclick: open(places, places.indexOf(place)) },
      h("span", { class: "cite" }, String(place.number)), h("span", {}, from(place))))));
}

function nearest(places) {
  return h("section", { class: "nearest" }, h("h3", {}, t("nearest")), h("ul", {}, places.map((place, index) => h("li", {},
    h("button", { type: "button", onclick: open(places, index) },
      h("span", { class: "from" }, icon("file"), from(place)), h("span", { class: "words" }, place.quote))))));
}
