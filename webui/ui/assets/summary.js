// The 要約 view: a form, the job that runs, a finished summary, those made before.
//
// A job goes on without the page. It is followed as a stream (server.js) that any tab joins at any
// time, so a reload, a second tab or a busy machine changes nothing about what is shown.

import { h, iconButton, on, state, store, stored } from "./core.js";
import { toast } from "./dialogs.js";
import { showView } from "./navigation.js";
import { followJob, request } from "./server.js";
import { hasStrings, s, setStrings } from "./summary_core.js";
import { Form } from "./summary_form.js";
import { Result } from "./summary_result.js";
import { Run } from "./summary_run.js";

document.head.append(h("link", { rel: "stylesheet", href: new URL("summary.css", import.meta.url).href }));

let element = null; // where it is drawn
let parts = null;
let table = null; // what GET /summaries has told last
let job = ""; // id of the one that is followed
let unfollow = () => {};
let isRunning = false;
let pending = null; // a text that came before the view was there

/** Gradio's side: the place of the view is there. */
export function summary(place) {
  element = place;
  if (state.view === "summary") load();
}

on("view", (name) => { if (name === "summary") load(); });

on("summarize", (text) => { // from a message of the chat
  pending = text;
  if (state.view === "summary") load();
  else showView("summary");
});

async function load() {
  if (!element) return;
  const told = await tried(request("GET", "/summaries"));
  if (!told) return;
  table = told;
  if (!hasStrings()) setStrings(table.strings);
  if (!parts) build();
  if (pending !== null) parts.form.setText(pending);
  pending = null;
  // The one that ended while no page was there still tells how.
  const wanted = table.job || (job ? "" : stored("summary.job"));
  if (wanted && wanted !== job) watch(wanted);
  else if (!isRunning && parts.shown.hidden && stored("summary.shown")) open(stored("summary.shown"), true);
  draw();
}

/** What `answer` becomes; a toast and null when it fails. */
async function tried(answer) {
  try {
    return await answer;
  } catch (error) {
    toast(error.message, { isError: true });
    return null;
  }
}

function build() {
  const run = new Run({ cancel, confirm });
  const shown = h("section", { class: "shown", hidden: true });
  const history = h("section", { class: "history" });
  const form = new Form({ start, reload: load });
  parts = { form, run, shown, history, result: new Result(shown, start) };
  element.replaceChildren(h("div", { class: "summary-scroll", tabIndex: 0 }, h("div", { class: "summary-page" },
    h("header", { class: "summary-head" }, h("h1", {}, s("title"))),
    form.element, run.element, shown, history)));
}

function draw() {
  parts.form.draw(table, isRunning);
  drawHistory();
}

// --- a job --------------------------------------------------------------------------------------

/** `wish`: as POST /summaries/jobs takes it. */
async function start(wish) {
  const told = await tried(request("POST", "/summaries/jobs", wish));
  if (!told) return load();
  show(null);
  watch(told.job);
  parts.run.element.scrollIntoView({ block: "nearest" });
  return draw();
}

function watch(id) {
  unfollow();
  job = id;
  isRunning = true;
  store("summary.job", id);
  unfollow = followJob(id, onNews);
}

function onNews(news) {
  isRunning = ["running", "lost"].includes(news.state);
  if (isRunning) parts.run.draw(news);
  else onEnd(news);
}

function onEnd(news) {
  const last = news.details?.finished.at(-1);
  parts.run.end(news.error || (news.state === "stopped" ? s("ended_stopped") : ""), Boolean(news.error));
  store("summary.job", null);
  job = "";
  if (last) open(last);
  load();
}

const cancel = () => tried(request("POST", `/jobs/${job}/cancel`));
const confirm = () => tried(request("POST", `/summaries/jobs/${job}/confirm`));

// --- what was made --------------------------------------------------------------------------------

/** Show a finished summary. `isQuiet`: it may have gone meanwhile. */
async function open(id, isQuiet = false) {
  const asked = request("GET", `/summaries/${encodeURIComponent(id)}`);
  const found = await (isQuiet ? asked.catch(() => null) : tried(asked));
  if (isRunning) return;
  show(found);
  if (found && !isQuiet) parts.shown.scrollIntoView({ block: "start" });
}

function show(found) {
  store("summary.shown", found?.id ?? null);
  parts.result.show(found, table);
}

function drawHistory() {
  const items = table.history.filter((one) => one.is_complete || !isRunning);
  parts.history.hidden = !items.length;
  parts.history.replaceChildren(h("h2", {}, s("history")), h("ul", {}, items.map((one) => h("li", {},
    h("button", { type: "button", class: "past", onclick: () => (one.is_complete ? open(one.id) : start({ resume: one.id })) },
      h("span", {}, one.title), h("span", { class: "quiet" },
        one.is_complete ? one.when : s("unfinished", { done: one.done, total: one.total }))),
    iconButton("trash", s("delete"), () => remove(one))))));
}

async function remove(one) {
  if (!await tried(request("DELETE", `/summaries/${one.id}`))) return;
  if (stored("summary.shown") === one.id) show(null);
  load();
  const restore = async () => { await tried(request("POST", `/summaries/${one.id}/restore`)); load(); };
  toast(s("deleted", { title: one.title }), { action: { label: s("restore"), run: restore } });
}
