// The running job of the 要約 view: how far it is, what it has written, Stop. Buttons stay where they
// are while the numbers change.

import { h, icon } from "./core.js";
import { button, s, time } from "./summary_core.js";

export class Run {
  #line = h("p", { class: "run-text", role: "status" });
  #fill = h("i");
  #bar = h("div", { role: "progressbar", "aria-label": s("title"), "aria-valuemin": 0, "aria-valuemax": 100 }, this.#fill);
  #plan = h("p", { class: "quiet plan" });
  #standin = h("p", { class: "warn" }, s("standin"));
  #live = h("div", { class: "written" });
  #question = h("p", { role: "alert" });
  #moving;
  #asking;
  #written = "";

  /** `actions`: cancel(), confirm(). */
  constructor({ cancel, confirm }) {
    this.#moving = h("div", {}, h("div", { class: "line" }, this.#line, h("span", { class: "buttons" },
      button([icon("stop"), s("cancel")], cancel, { class: "button stop" }))), this.#bar);
    // Only work of more than a minute asks; the question is still there after a reload.
    this.#asking = h("div", { class: "asking" }, this.#question, h("span", { class: "buttons" },
      button(s("not_now"), cancel), button(s("confirm"), confirm, { class: "button primary" })));
    this.element = h("section", { class: "run", hidden: true });
  }

  /** `news`: of a running job, as its stream tells it. */
  draw(news) {
    if (news.state === "lost") { this.#line.textContent = s("lost"); return; }
    const run = news.details;
    const isAsking = run.state === "asking";
    this.#line.textContent = runText(news, run);
    this.#plan.textContent = planText(run);
    this.#plan.hidden = !run.plan_s;
    this.#question.textContent = isAsking ? s("asking", { time: time(run.plan_s) }) : "";
    this.#standin.hidden = !run.is_standin;
    this.#drawBar(run);
    this.#drawWritten(run.sections);
    this.#moving.hidden = isAsking;
    this.#asking.hidden = !isAsking;
    this.#show([this.#moving, this.#plan, this.#asking, this.#standin, this.#live]);
  }

  /** How it ended, where nothing else tells it. */
  end(sentence, isError) {
    this.#show(sentence ? [h("p", { class: isError ? "bad" : "quiet", role: isError ? "alert" : "status" }, sentence)] : []);
  }

  #show(nodes) {
    this.element.hidden = !nodes.length;
    if (nodes.some((node, index) => this.element.childNodes[index] !== node) || nodes.length !== this.element.childNodes.length) {
      this.element.replaceChildren(...nodes);
    }
  }

  #drawBar(run) {
    const percent = run.total ? Math.round(100 * run.done / run.total) : 0;
    this.#bar.className = run.total ? "bar" : "bar unknown";
    this.#fill.style.width = run.total ? `${percent}%` : "100%";
    if (run.total) this.#bar.setAttribute("aria-valuenow", String(percent));
    else this.#bar.removeAttribute("aria-valuenow");
  }

  #drawWritten(sections) {
    const written = JSON.stringify(sections);
    if (written === this.#written) return;
    this.#written = written;
    this.#live.replaceChildren(...sections.map((one) => h("div", { class: one.is_done ? "live done" : "live" },
      one.title ? h("h3", {}, one.title) : null,
      h("ul", {}, [...one.bullets, ...(one.partial ? [one.partial] : [])].map((line) => h("li", {}, line))))));
  }
}

function planText(run) {
  const text = s("plan", { chars: run.chars.toLocaleString(), bullets: run.bullets,
    time: time(run.plan_s), model: run.model });
  return run.resumed ? `${text} ${s("resumed")}` : text;
}

function runText(news, run) {
  const file = run.num_sources > 1 ? `${s("file_of", { n: run.position, total: run.num_sources })}　` : "";
  return `${file}${stateText(news, run)}　${s("elapsed", { time: time(news.elapsed_s) })}`;
}

function stateText(news, run) {
  if (news.waits_for) return news.waits_for;
  if (run.state === "loading") return s("loading");
  if (run.state === "planning" || !run.total) return s("planning");
  const left = run.left_s === null ? "" : run.left_s > 0 ? s("left", { time: time(run.left_s) }) : s("slow");
  return s(run.state === "merging" ? "merging" : "working", { done: run.done, total: run.total }) + left;
}
