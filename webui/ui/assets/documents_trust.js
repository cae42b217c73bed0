// What the collection is searched with, and how well that finds it: a test with its own sentences.

import { h, iconButton } from "./core.js";
import { act, s, shown } from "./documents_core.js";
import { openSource } from "./source.js";

/** A line about the model that searches by meaning; re-embedding is offered where it is needed. */
export function embedderLine() {
  return h("p", { class: "quiet embedder" });
}

export function drawEmbedder(line) {
  const { embedder, num_documents: count } = shown.view;
  line.hidden = !count && embedder.state !== "broken";
  const text = s(`embedder_${embedder.state}`, { name: embedder.name, n: embedder.num_embedded.toLocaleString(),
    total: embedder.num_chunks.toLocaleString(), others: embedder.other_models.join("、") });
  if (line.dataset.shows === text + embedder.problem) return;
  line.dataset.shows = text + embedder.problem;
  const again = embedder.state !== "outdated" ? null : !embedder.may_reembed
    ? h("span", {}, s("admins_only")) : h("button", { type: "button", class: "button small",
    onclick: () => act("reembed") }, s("reembed"));
  const lines = [h("span", {}, text), again, embedder.problem ? h("span", { class: "warn" }, embedder.problem) : null];
  line.replaceChildren(...lines.filter(Boolean));
}

let drawn = "";

/** The test that runs or has ended, in `place`. */
export function drawTest(place) {
  const { test } = shown.view;
  const text = JSON.stringify(test);
  if (text === drawn) return;
  drawn = text;
  place.hidden = !test;
  if (!test) { place.replaceChildren(); return; }
  const percent = test.total ? Math.round(100 * test.done / test.total) : 0;
  place.replaceChildren(...[
    h("div", { class: "line" }, h("h2", {}, s("test_title")),
      iconButton("close", s(test.is_running ? "cancel" : "close"), () => act("close_test"), { class: "icon-button end" })),
    test.problem ? h("p", { class: "bad" }, test.problem) : null,
    test.is_running ? h("div", { class: "progress" }, h("div", { class: "bar", role: "progressbar", "aria-label": s("test_title"),
      "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(percent) }, h("i", { style: `width:${percent}%` })),
      h("span", { class: "quiet words" }, `${test.done} / ${test.total}`)) : null,
    test.recall.length ? h("p", { class: "quiet" }, s("test_about", { n: test.done, how: s(test.used_vectors ? "by_meaning" : "by_words") })) : null,
    test.recall.length ? h("dl", { class: "recall" }, test.recall.map(([rank, share]) => h("div", {},
      h("dt", {}, s("recall_at", { n: rank })), h("dd", {}, h("div", { class: "bar" }, h("i", { style: `width:${100 * share}%` }))),
      h("dd", { class: "share" }, `${(100 * share).toFixed(0)}%`)))) : null,
    misses(test)].filter(Boolean));
}

function misses(test) {
  if (test.is_running || !test.recall.length) return null;
  if (!test.misses.length) return h("p", {}, s("test_all_found"));
  return h("details", { class: "misses", open: test.misses.length < 6 },
    h("summary", {}, s("test_misses", { n: test.misses.length })),
    h("ol", {}, test.misses.map((one) => h("li", {},
      h("p", {}, h("strong", {}, one.question)),
      h("p", { class: "quiet" }, s("test_wanted", { name: one.name, page: one.page }), h("q", {}, one.sentence)),
      one.found.length ? h("p", { class: "quiet" }, s("test_instead"), one.found.map((place, index) =>
        h("button", { type: "button", class: "button small", title: place.text,
          onclick: (event) => openSource(one.found, index, event.currentTarget) }, `${place.name} p.${place.page}`))) : null))));
}
