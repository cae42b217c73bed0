// A question that does not fit into the model's context: what can be left out, shown before it is.

import { emit, follow, h, send, t } from "./core.js";
import { confirmed } from "./dialogs.js";

/** The reader's choices, as actions of a notice; `questionId` tells which question, when asked. */
export function waysToFit(questionId, hasLongSystem) {
  const part = (keep) => ({ label: t(`keep_${keep}`),
    run: () => send("shorten", { message: questionId(), keep }) });
  const system = { label: t("shorten_system"), run: () => emit("edit_system") };
  const again = { label: t("try_again"), run: () => emit("run", { action: "retry" }) };
  return [part("head"), part("tail"), ...(hasLongSystem ? [system, again] : [])];
}

/** The part of a question that fits, with what would be left out: sent only when confirmed. */
export function shortened(element, props, watch) {
  follow(props, watch, async (parts) => {
    const n = parts.num_dropped.toLocaleString();
    const detail = h("div", { class: "dropped" },
      h("p", { class: "quiet" }, t("dropped_text", { n })),
      h("pre", { tabindex: "0" }, parts.dropped_begins,
        parts.dropped_ends ? h("span", { class: "gap" }, " … ") : null, parts.dropped_ends));
    const question = t(`use_${parts.keep}_question`, { n: parts.kept.length.toLocaleString(), dropped: n });
    if (await confirmed(question, t("use_part"), { detail, isDanger: false })) {
      emit("run", { action: "edit", message: parts.message, text: parts.kept });
    }
  });
}
