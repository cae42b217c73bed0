// What Gradio's components call when they are there (chat_tab.py names these functions).

import { composer } from "./composer.js";
import { conversations } from "./conversations.js";
import { bridge, listing, openConversation, reloadConversation, send,
  state } from "./core.js";
import { problem, watchConnection } from "./dialogs.js";
import { shortened } from "./fitting.js";
import { documents, documentsBridge } from "./documents.js";
import { header, panelHead } from "./header.js";
import { inspector, inspectorBridge, manner } from "./inspector.js";
import { models, modelsBridge } from "./models.js";
import { navigation, showView } from "./navigation.js";
import { source, sourceBridge } from "./source.js";
import { summary } from "./summary.js";
import { live, transcript } from "./transcript.js";

const AWAY_MS = 3000; // another tab may have changed things meanwhile

Object.assign(window.kajogaki, { bridge, composer, conversations,
  documents, documentsBridge, header, inspector,
  inspectorBridge, live, manner, models,
  modelsBridge, navigation, panelHead, problem, shortened, source, sourceBridge,
  summary, transcript, conversationId: () => state.conversation });

watchConnection();

addEventListener("popstate", () => {
  const address = new URLSearchParams(location.search);
  const wanted = address.get("chat") || "";
  if (wanted !== state.conversation) openConversation(wanted, { push: false });
  showView(address.get("view"), { push: false });
});

let hiddenAt = Infinity;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (Date.now() - hiddenAt > AWAY_MS) refresh();
});

function refresh() {
  send("search", listing());
  reloadConversation();
}
