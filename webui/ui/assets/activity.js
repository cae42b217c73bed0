// The chip in the header: the reader's jobs, which models are loaded, loading, waited for, who is ahead.
//
// Asks the server (api/files.py) often while something moves, seldom otherwise, not at all in a
// hidden tab. Also knows who has logged in.

import { emit, h, on, openConversation, state, t } from "./core.js";
import { toast } from "./dialogs.js";
import { showView } from "./navigation.js";
import { request } from "./server.js";

document.head.append(h("link", { rel: "stylesheet", href: new URL("activity.css", import.meta.url).href }));

const BUSY_MS = 1000;
const IDLE_MS = 5000;

const VIEW_OF = { summary: "summary", document: "documents", download: "models", bench: "models", conversion: "models" };

let now = { models: [], queue: [], jobs: [], user: null };
let isAway = false; // the server does not answer
let chip = null;
let list = null;
let timer = 0;

/** The chip and the list that it opens. */
export function activity() {
  list = h("div", { class: "activity-list", id: "activity-list", popover: "auto" });
  chip = h("button", { type: "button", class: "activity", "aria-controls": "activity-list",
    onclick: () => { list.togglePopover(); place(); } },
  h("i", { "aria-hidden": "true" }), h("span", { role: "status" }));
  list.addEventListener("toggle", (event) => {
    chip.setAttribute("aria-expanded", String(event.newState === "open"));
    ask();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  let numLives = 0;
  on("live", () => { // an answer of this tab has begun or ended
    if (state.lives.size !== numLives) { numLives = state.lives.size; ask(); }
  });
  ask();
  return [chip, list];
}

/** Who has logged in; null where nobody has to. */
export const user = () => now.user;

export async function logOut() {
  await fetch("/logout", { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
  location.assign("/login");
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch("/activity", { cache: "no-store" });
    if (answer.status === 401) { location.assign("/login"); return; } // the session has ended
    isAway = answer.status >= 502; // a proxy answers in its place
    if (answer.ok) now = await answer.json();
    draw();
    emit("jobs", now.jobs);
  } catch {
    isAway = true;
    draw();
  }
  clearTimeout(timer);
  timer = setTimeout(ask, isAway || isMoving() || list.matches(":popover-open") ? BUSY_MS : IDLE_MS);
}

const loading = () => now.models.find((model) => model.state === "loading");
const isMoving = () => Boolean(loading() || now.queue.length || now.jobs.length || state.lives.size ||
  now.models.some((model) => model.running));

function draw() {
  const [mood, label] = summary();
  chip.className = `activity ${mood}`;
  chip.lastChild.textContent = label;
  chip.title = `${t("activity")}: ${label}`;
  drawJobs();
  list.replaceChildren(
    ...(now.jobs.length ? [h("h3", {}, t("activity_jobs")), jobList] : []),
    h("h3", {}, t("activity")),
    ...(now.models.length ? now.models.map(modelRow) : [h("p", {}, t("activity_none"))]),
    ...(now.queue.length ? [h("h3", {}, t("activity_queue", { n: now.queue.length })),
      h("ol", {}, now.queue.map((waiter) => h("li", {},
        t(waiter.is_mine ? "activity_you" : "activity_other", { model: waiter.model }))))] : []));
}

/** [class, words] of the chip: what matters most. */
function summary() {
  const mine = now.queue.findIndex((waiter) => waiter.is_mine);
  if (isAway) return ["away", t("activity_away")];
  if (loading()) return ["moving", t("activity_loading", { percent: percent(loading()) })];
  if (mine >= 0) return ["waiting", mine ? t("activity_ahead", { n: mine }) : t("activity_next")];
  if (now.queue.length) return ["waiting", t("activity_waiting", { n: now.queue.length })];
  if (now.jobs.length) return ["moving", jobsLabel()];
  if (now.models.some((model) => model.running)) return ["moving", t("activity_running")];
  const numReady = now.models.filter((model) => model.state === "ready").length;
  if (now.models.length > numReady) return ["waiting", t("activity_stopped")];
  return numReady ? ["ready", t("activity_ready", { n: numReady })]
    : ["", t("activity_none")];
}

const percent = (model) => Math.round(100 * model.fraction);

function modelRow(model) {
  const isLoading = model.state === "loading";
  const told = isLoading ? t("activity_loading", { percent: percent(model) })
    : model.state === "stopped" ? t("activity_reloads")
    : model.running ? t("activity_answers", { n: model.running }) : t("activity_idle");
  return h("div", { class: "activity-model" }, h("b", {}, model.name), h("span", {}, told),
    isLoading ? h("progress", { max: 1, value: model.fraction, "aria-label": told }) : null);
}

const jobList = h("div", { class: "activity-jobs" });
const rows = new Map(); // job id -> its row, so that its buttons stay while it moves

function drawJobs() {
  const ids = new Set(now.jobs.map((job) => job.id));
  for (const id of [...rows.keys()]) if (!ids.has(id)) { rows.get(id).remove(); rows.delete(id); }
  for (const job of now.jobs) {
    if (!rows.has(job.id)) rows.set(job.id, jobList.appendChild(jobRow(job)));
    const row = rows.get(job.id);
    row.querySelector("b").textContent = job.title ? `${job.name}: ${job.title}` : job.name;
    row.querySelector("span").textContent = job.waits_for || t("activity_elapsed", { time: time(job.elapsed_s) });
    const bar = row.querySelector("progress");
    bar.hidden = job.fraction === null;
    bar.value = job.fraction ?? 0;
  }
}

function jobRow(job) {
  const open = () => {
    list.hidePopover();
    if (job.kind === "reply") openConversation(job.subject);
    else showView(VIEW_OF[job.kind]);
  };
  const stop = async () => {
    try {
      await request("POST", `/jobs/${job.id}/cancel`);
    } catch (error) { toast(error.message, { isError: true }); }
    ask();
  };
  return h("div", { class: "activity-job", "data-kind": job.kind }, h("b"), h("span"),
    h("progress", { max: 1, "aria-label": job.name }), h("div", { class: "activity-buttons" },
      h("button", { type: "button", onclick: open }, t("activity_open")),
      h("button", { type: "button", onclick: stop }, t("activity_stop"))));
}

/** One job by its name and how far it is; of several how many. */
function jobsLabel() {
  const [job] = now.jobs;
  if (now.jobs.length > 1) return t("activity_job_count", { n: now.jobs.length });
  return job.fraction === null ? t("activity_running") : `${job.name} ${Math.round(100 * job.fraction)} %`;
}

const time = (seconds) => seconds < 90 ? t("activity_seconds", { n: Math.max(1, Math.round(seconds)) })
  : t("activity_minutes", { n: Math.round(seconds / 60) });

function place() {
  const at = chip.getBoundingClientRect();
  list.style.top = `${at.bottom + 6}px`;
  list.style.left = `${Math.max(8, Math.min(at.left, innerWidth - list.offsetWidth - 8))}px`;
}
