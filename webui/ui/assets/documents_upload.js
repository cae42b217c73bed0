// Files on their way to the library: picked, dropped, whole folders; two at a time.

import { h, iconButton } from "./core.js";
import { act, bytes, s, shown } from "./documents_core.js";

const kinds = () => s("kinds").split(","); // as the server reads them
const AT_ONCE = 2;
const MAX_NAMED = 8;
const MAX_BYTES = 1_000_000_000;
const MAX_NAME = 1000; // characters in a header

const jobs = []; // {file, collection, replaces, share, note, isBad, isDone}
let place = null;

/** The element that shows what is on its way. */
export function uploads() {
  place = h("ul", { class: "uploads", "aria-live": "polite" });
  return place;
}

/** Add files to the collection that is shown. From folders only what can be read is taken. */
export function add(files, { isFolder = false, replaces = "" } = {}) {
  const taken = isFolder ? files.filter((file) => isReadable(file.name)) : files;
  const left = files.filter((file) => !taken.includes(file) && !isNobodys(file.name)).map((file) => file.name);
  const names = left.slice(0, MAX_NAMED).join(", ") + (left.length > MAX_NAMED ? "…" : "");
  if (left.length) note(s("skipped", { n: left.length, names }));
  for (const file of taken) {
    jobs.push({ file, collection: shown.collection, replaces, share: 0, note: "" });
  }
  start();
}

/** Hidden files, locks of open ones, what operating systems leave: not even told. */
const isNobodys = (name) => /^(\.|~\$)|^(Thumbs\.db|desktop\.ini)$/.test(name);

function isReadable(name) {
  return !isNobodys(name) && kinds().some((kind) => name.toLowerCase().endsWith(kind));
}

function note(sentence, isBad = false) {
  jobs.push({ file: null, note: sentence, isBad, isDone: true });
  draw();
}

function start() {
  const running = jobs.filter((job) => job.request && !job.isDone).length;
  const waiting = jobs.filter((job) => !job.request && !job.isDone);
  for (const job of waiting.slice(0, AT_ONCE - running)) send(job);
  draw();
}

function send(job) {
  const request = job.request = new XMLHttpRequest();
  if (job.file.size > MAX_BYTES) return finish(job, s("too_large"), true);
  request.open("POST", "/documents/files");
  const headers = { "content-type": "application/octet-stream", "x-collection": job.collection,
    "x-file-name": encodeURIComponent([...job.file.name].slice(-MAX_NAME).join("").toWellFormed()),
    "x-replaces": job.replaces };
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => { job.share = event.loaded / job.file.size; draw(); };
  request.onload = () => onAnswer(job, request);
  request.onerror = () => finish(job, s("upload_failed"), true);
  request.onabort = () => finish(job, "", false);
  request.send(job.file);
}

function onAnswer(job, request) {
  let told = {};
  try { told = JSON.parse(request.responseText); } catch { /* not ours: told as a failure */ }
  if (request.status !== 200) {
    finish(job, typeof told.error === "string" ? told.error : s("upload_failed"), true);
  } else if (!told.is_new) finish(job, s("same", { name: told.name }), false);
  else finish(job, "", false);
  if (told.collection && !shown.collection) shown.collection = told.collection;
  act("poll");
}

/** Without a sentence it disappears; with one it stays until it is closed. */
function finish(job, sentence, isBad) {
  Object.assign(job, { note: sentence, isBad, isDone: true });
  if (!sentence) jobs.splice(jobs.indexOf(job), 1);
  start();
}

function draw() {
  if (!place) return;
  const waiting = jobs.filter((job) => !job.request && !job.isDone).length;
  const lines = jobs.filter((job) => job.isDone || job.request).map(line);
  if (waiting) lines.push(h("li", { class: "quiet" }, s("uploads_waiting", { n: waiting })));
  place.replaceChildren(...lines);
}

function line(job) {
  const close = () => {
    if (job.isDone) { jobs.splice(jobs.indexOf(job), 1); draw(); } else job.request.abort();
  };
  const name = job.file?.name || "";
  const text = job.isDone ? `${name ? `${name}: ` : ""}${job.note}`
    : `${name}　${s("uploading", { percent: Math.round(100 * job.share), size: bytes(job.file.size) })}`;
  return h("li", { class: job.isBad ? "bad" : "" }, h("span", { ...(job.isBad && { role: "alert" }) }, text),
    iconButton("close", s(job.isDone ? "close" : "cancel"), close));
}

/** Let `area` take what is dropped on it. */
export function dropping(area) {
  const mark = (event, isOver) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    area.classList.toggle("over", isOver);
  };
  area.addEventListener("dragover", (event) => mark(event, true));
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget)) mark(event, false);
  });
  area.addEventListener("drop", async (event) => {
    mark(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [...event.dataTransfer.files];
    if (!entries.some((entry) => entry.isDirectory)) return add(files);
    add((await Promise.all(entries.map(filesIn))).flat(), { isFolder: true });
  });
}

async function filesIn(entry) {
  if (entry.isFile) return new Promise((resolve) => entry.file((file) => resolve([file]), () => resolve([])));
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader gives at most 100 entries at a time
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(filesIn))).flat();
}

/** Ask for files with the browser's own dialog. */
export function pick({ isFolder = false, replaces = "" } = {}) {
  const input = h("input", { type: "file", multiple: !replaces, accept: kinds().join(",") });
  if (isFolder) input.webkitdirectory = true;
  input.addEventListener("change", () => add([...input.files], { isFolder, replaces }));
  input.click();
}
