// The messages of a conversation, and the answer that is being written below them.
//
// The server sends whole views; a message is drawn again only when its view has changed, and of a
// growing answer only the blocks that have. HTML comes only from `blocks` (markdown.py makes them
// inert); everything else becomes text nodes.

import { addressOf, emit, follow, h, icon, iconButton, on, reloadConversation,
  send, state, t } from "./core.js";
import { confirmed, toast } from "./dialogs.js";
import { waysToFit } from "./fitting.js";
import { showEvidence } from "./evidence.js";
import { typeset } from "./math.js";
import { editor, tools } from "./message_tools.js";
import { showView } from "./navigation.js";

const NEAR_END_PX = 80;
const TURNED_MS = 300; // until a turn of the wheel has moved something
const HANDLED_MS = 600; // scrolling goes on so long after a turn of the wheel
const JOIN_AGAIN_MS = 1500; // if an answer is being written and none of it has come
const TURNS_MORE = 20;
const LONG_MESSAGE_CHARS = 3000;
const SUGGESTIONS = ["suggestion_1", "suggestion_2", "suggestion_3"];
// What the built-in model does well has views of its own; it writes no mails.
const BUILTIN_SUGGESTIONS = { suggestion_summary: "summary", suggestion_documents: "documents" };

export function transcript(element, props, watch) {
  const column = h("div", { class: "messages" });
  const scroll = h("div", { class: "scroll", role: "log", "aria-label": t("messages"),
    tabindex: "0" }, column);
  const view = new Transcript(scroll, column);
  const jump = iconButton("down", t("to_end"), () => view.toEnd(), { class: "icon-button jump" });
  element.replaceChildren(scroll, jump);
  scroll.addEventListener("scroll", () => {
    jump.classList.toggle("visible", !view.onScroll());
  }, { passive: true });
  follow(props, watch, (value) => view.take(value));
  on("opening", (id) => { if (!id) view.show(blank()); });
  on("live", (value) => view.takeLive(value));
  on("jobs", (jobs) => view.onJobs(jobs));
  on("note", ({ isBuiltin }) => view.suggestFor(isBuiltin));
  if (!state.conversation) view.show(blank());
}

/** The answer being written; its component only passes it on. */
export function live(element, props, watch) {
  follow(props, watch, (view) => {
    if (view.active) state.lives.set(view.conversation, view);
    else state.lives.delete(view.conversation);
    emit("live", view);
  });
}

function blank() {
  return { conversation: "", title: "", messages: [], num_earlier: 0, usage: null,
    acknowledged: "", compose: "", notice: "", documents: null };
}

class Transcript {
  #scroll;
  #column;
  #drawn = new Map(); // message id -> {signature, node}
  #view = blank();
  #live = null; // a LiveAnswer
  #isBuiltin = false; // the built-in model answers
  #problem = null; // an error that belongs to no message
  #atEnd = true; // then it stays there, whatever grows
  #top = 0; // where the reader was
  #handledAt = -Infinity; // when wheel, finger, key or scroll bar was last used
  #timer = 0;
  #joined = ""; // the message whose writing this tab has asked to hear

  constructor(scroll, column) {
    this.#scroll = scroll;
    this.#column = column;
    const stay = new ResizeObserver(() => this.#atEnd && this.toEnd());
    stay.observe(scroll);
    stay.observe(column);
    for (const name of ["wheel", "touchmove", "keydown", "pointerdown", "pointermove"]) {
      const isUsed = (event) => name !== "pointermove" || event.buttons;
      scroll.addEventListener(name, (event) => {
        if (isUsed(event)) this.#onUse(event);
      }, { passive: true });
    }
  }

  /** A wheel turned up leaves the end at once: an update that comes before the scroll event would
   *  take the turn away. Unless something inside the transcript has taken it. */
  #onUse(event) {
    this.#handledAt = performance.now();
    if (!(event.deltaY < 0) || !this.#atEnd) return;
    const top = this.#top; // not scrollTop: the browser may have moved it already
    this.#atEnd = false;
    setTimeout(() => this.#scroll.scrollTop < top || this.toEnd(), TURNED_MS);
  }

  /** Whether the end is in sight. Only the reader moving up leaves it, however little: what is drawn
   *  anew, such as formulas, shrinks and grows by itself. */
  onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    const far = scrollHeight - scrollTop - clientHeight;
    const isNear = far < NEAR_END_PX;
    const hasLeft = scrollTop < this.#top && performance.now() - this.#handledAt < HANDLED_MS;
    if (hasLeft && far > 1) this.#atEnd = false;
    else if (far <= 1 || (isNear && scrollTop > this.#top)) this.#atEnd = true;
    this.#top = scrollTop;
    return isNear;
  }

  /** Show the end, and keep it in sight. */
  toEnd() {
    this.#atEnd = true;
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#top = this.#scroll.scrollTop;
  }

  /** A view from the server: of what this tab shows, or of what it has just begun. */
  take(view) {
    const isNew = !state.conversation && view.conversation && view.acknowledged;
    if (isNew && view.acknowledged === state.sent) {
      state.conversation = view.conversation;
      history.replaceState(null, "", addressOf(view.conversation));
    }
    if (view.acknowledged) emit("acknowledged", view);
    if (view.notice) {
      toast(view.notice, { isError: true });
      state.conversation = "";
      history.replaceState(null, "", addressOf(""));
    }
    if (view.conversation === state.conversation) this.show(view);
  }

  show(view) {
    const changed = view.conversation !== this.#view.conversation;
    const asked = view.messages.at(-1)?.id !== this.#view.messages.at(-1)?.id && view.acknowledged;
    const grown = view.num_earlier < this.#view.num_earlier && !changed;
    const height = this.#scroll.scrollHeight;
    if (changed || asked) this.#atEnd = true;
    state.title = view.title;
    this.#view = view;
    this.#problem = null;
    this.#draw();
    if (grown) this.#scroll.scrollTop += this.#scroll.scrollHeight - height;
    else if (this.#atEnd) this.toEnd();
    emit("shown", view);
    clearTimeout(this.#timer);
    this.#join(view);
  }

  /** Listen to an answer that goes on without this tab: after a reload, or begun in another one. */
  #join(view) {
    const last = view.messages.at(-1);
    const isOwn = view.acknowledged && view.acknowledged === state.sent; // live follows
    if (!last?.is_writing || isOwn || state.lives.has(view.conversation)) return;
    if (this.#joined !== last.id) send("join", { conversation: view.conversation });
    this.#joined = last.id;
    this.#timer = setTimeout(() => { this.#joined = ""; reloadConversation(); }, JOIN_AGAIN_MS);
  }

  /** An answer that another tab has begun is looked for as soon as it is known. */
  onJobs(jobs) {
    const isAnswered = jobs.some((job) => job.kind === "reply" && job.subject === state.conversation);
    if (isAnswered && !this.#view.messages.at(-1)?.is_writing) reloadConversation();
  }

  takeLive(view) {
    if (view.conversation !== state.conversation) return;
    if (!view.active) {
      if (view.error && this.#live === null) this.#problem = view.error;
      this.#live = null;
      this.#draw();
    } else if (this.#live?.id === view.message) {
      this.#live.update(view);
    } else {
      this.#draw();
    }
    if (this.#atEnd) this.toEnd();
  }

  suggestFor(isBuiltin) {
    if (this.#isBuiltin === Boolean(isBuiltin)) return;
    this.#isBuiltin = Boolean(isBuiltin);
    if (this.#column.querySelector(".greeting")) this.#draw();
  }

  #draw() {
    const { messages, num_earlier: numEarlier } = this.#view;
    const active = state.lives.get(this.#view.conversation);
    const nodes = numEarlier ? [this.#earlierButton(numEarlier)] : [];
    const isOwn = this.#view.acknowledged && this.#view.acknowledged === state.sent; // live follows
    const shown = new Map();
    messages.forEach((message, index) => {
      if (message.id === active?.message || (message.is_writing && isOwn)) return;
      if (message.begins_window) nodes.push(windowLine());
      const context = { isLast: index === messages.length - 1 && !active, isBusy: Boolean(active) };
      const entry = this.#entry(message, context);
      shown.set(message.id, entry);
      nodes.push(entry.node);
    });
    this.#drawn = shown;
    nodes.push(...this.#end(active));
    sync(this.#column, nodes.length ? nodes : [greeting(this.#isBuiltin)]);
    this.#column.parentElement.setAttribute("aria-busy", String(Boolean(active)));
  }

  #entry(message, context) {
    const signature = JSON.stringify([message, context]);
    const known = this.#drawn.get(message.id);
    return known?.signature === signature ? known : { signature, node: messageNode(message, context) };
  }

  /** What follows the messages: the growing answer, a problem, or the missing answer. */
  #end(active) {
    if (active) {
      if (this.#live?.id !== active.message) this.#live = new LiveAnswer(active);
      this.#live.update(active);
      return [this.#live.node];
    }
    this.#live = null;
    if (this.#problem) return [notice(this.#problem, [])];
    if (this.#view.messages.at(-1)?.role !== "user") return [];
    return [notice(t("no_answer"), [{ label: t("answer_now"), run: () => retry() }], false)];
  }

  #earlierButton(num) {
    return h("button", { type: "button", class: "earlier", onclick: () => {
      state.turns = (state.turns || 10) + TURNS_MORE;
      send("open_conversation", { conversation: state.conversation, turns: state.turns });
    } }, t("show_earlier", { n: num }));
  }
}

/** Make the children of `parent` exactly `nodes`, moving none that is in place. */
function sync(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] || null);
  });
}

function messageNode(message, context) {
  const isUser = message.role === "user";
  const node = h("article", { class: `turn ${message.role}`, "data-id": message.id,
    "aria-label": t(isUser ? "you" : "assistant") });
  const body = isUser ? bubble(message) : answer(message);
  const actions = {
    edit: () => edit(node, message),
    retry: () => retry(),
    undo: () => send("undo_turn", { conversation: state.conversation }),
    remove: () => remove(message),
    version: (version) => send("version", { message: message.id, version }),
  };
  node.append(...body, tools(message, context, actions));
  if (message.notice) {
    const canEdit = context.isLast && !message.text && !message.is_writing;
    const fixes = canEdit ? [{ label: t("edit_question"), run: () => editLastQuestion(node) }] : [];
    if (canEdit && !message.is_problem) fixes.unshift({ label: t("regenerate"), run: retry });
    if (canEdit && message.too_long) {
      fixes.push(...waysToFit(() => questionBefore(node).dataset.id, message.has_long_system),
        { label: t("open_in_summary"), run: () => press(questionBefore(node), "summarize") });
    }
    node.insertBefore(notice(message.notice, fixes, message.is_problem), node.lastChild);
  }
  return node;
}

function bubble(message) {
  const isLong = message.text.length > LONG_MESSAGE_CHARS;
  const text = h("div", { class: "bubble" });
  text.textContent = isLong ? `${message.text.slice(0, LONG_MESSAGE_CHARS)}…` : message.text;
  if (!isLong) return [text];
  const more = h("button", { type: "button", class: "show-all", onclick: () => {
    text.textContent = message.text;
    more.remove();
  } }, t("show_all", { n: message.text.length.toLocaleString() }));
  return [text, more];
}

function answer(message) {
  const body = new Blocks("answer");
  body.update(message.blocks);
  const below = message.evidence ? showEvidence(body.node, message.evidence) : [];
  if (!message.reasoning.length) return [body.node, ...below];
  const thoughts = new Blocks("thoughts");
  thoughts.update(message.reasoning);
  return [reasoning(thoughts.node, t("reasoning")), body.node, ...below];
}

function reasoning(node, title) {
  return h("details", { class: "reasoning" }, h("summary", {}, icon("right"), h("span", {}, title)), node);
}

/** The answer that grows: status line, thoughts, text. */
class LiveAnswer {
  constructor(view) {
    this.id = view.message;
    this.body = new Blocks("answer");
    this.thoughts = new Blocks("thoughts");
    this.details = reasoning(this.thoughts.node, t("reasoning"));
    this.status = h("p", { class: "status", role: "status" }, h("span", { class: "pulse" }),
      h("span"));
    this.node = h("article", { class: "turn assistant live", "aria-label": t("assistant") },
      this.details, this.body.node, this.status);
  }

  update(view) {
    this.body.update(view.blocks);
    this.thoughts.update(view.reasoning);
    this.details.hidden = !view.reasoning.length;
    this.details.open = !view.blocks.length;
    this.status.lastChild.textContent = view.status;
  }
}

/** Blocks of inert HTML, redrawn only where they differ. */
class Blocks {
  #shown = [];

  constructor(kind) {
    this.node = h("div", { class: `prose-own ${kind}` });
  }

  update(blocks) {
    blocks.forEach((markup, index) => {
      if (this.#shown[index] === markup) return;
      const block = this.node.children[index] || this.node.appendChild(h("div", { class: "block" }));
      block.innerHTML = markup;
      for (const button of block.querySelectorAll("[data-copy-code]")) codeButton(button);
      typeset(block);
    });
    while (this.node.children.length > blocks.length) this.node.lastChild.remove();
    this.#shown = blocks;
  }
}

function codeButton(button) {
  button.className = "icon-button";
  button.title = button.ariaLabel = t("copy");
  button.replaceChildren(icon("copy"));
}

function greeting(isBuiltin) {
  const suggestions = isBuiltin
    ? Object.entries(BUILTIN_SUGGESTIONS).map(([key, view]) => [key, () => showView(view)])
    : SUGGESTIONS.map((key) => [key, () => emit("compose", t(key))]);
  return h("div", { class: "greeting" },
    h("h2", {}, t("greeting")), h("p", {}, t("greeting_detail")),
    h("div", { class: "suggestions" }, suggestions.map(([key, onclick]) => h("button",
      { type: "button", onclick }, t(key)))));
}

function notice(sentence, actions, isProblem = true) {
  return h("div", { class: isProblem ? "notice" : "notice quiet", role: isProblem && "alert" }, h("span", {}, sentence),
    actions.map((action) => h("button", { type: "button", onclick: action.run }, action.label)));
}

function windowLine() {
  return h("div", { class: "window-line", role: "separator" }, h("span", {}, t("window_begins")));
}

function edit(node, message) {
  if (node.querySelector(".editor")) return;
  const kept = [...node.childNodes];
  const close = () => node.replaceChildren(...kept);
  node.replaceChildren(editor(message.text, {
    onCancel: close,
    onSave: (text) => {
      close();
      emit("run", { action: "edit", message: message.id, text });
    },
  }));
  node.querySelector("textarea").focus();
}

function editLastQuestion(node) {
  press(questionBefore(node), "edit");
}

function press(node, tool) {
  node?.querySelector(`[data-tool=${tool}]`)?.click();
}

function questionBefore(node) {
  return [...node.parentElement.querySelectorAll(".turn.user")].at(-1);
}

function retry() {
  emit("run", { action: "retry" });
}

async function remove(message) {
  if (await confirmed(t("delete_message_question"), t("delete"))) {
    send("delete_message", { message: message.id });
  }
}
