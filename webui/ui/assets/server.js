// The page's routes: ask one, and follow a job that goes on by itself on the server.

import { t } from "./core.js";

/** What a route answers. Rejects with an Error whose message is a sentence for the reader. */
export async function request(method, path, body) {
  const json = body === undefined ? {}
    : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  let answer;
  try {
    answer = await fetch(path, { method, cache: "no-store", ...json });
  } catch {
    throw new Error(t("connection_lost"));
  }
  if (answer.status === 401) location.assign("/login"); // the session has ended
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || t("unexpected"));
  return told;
}

/**
 * Call `onNews` with the job now, with every change and at least each second, until it is over:
 * `state` is then "done", "stopped", "failed", or "gone" for one that the server does not know.
 * While the connection is away, `state` is "lost"; the browser connects again by itself.
 * Returns what ends the following; the job goes on. A hidden tab does not listen: browsers open
 * six connections to a server, for all tabs together.
 */
export function followJob(id, onNews) {
  let stream = null;
  let isOver = false;
  const pause = () => { stream?.close(); stream = null; };
  const end = () => {
    isOver = true;
    pause();
    document.removeEventListener("visibilitychange", onVisibility);
  };
  const tell = (news) => {
    if (isOver) return;
    if (!["running", "lost"].includes(news.state)) end();
    onNews(news);
  };
  const listen = () => {
    if (isOver || stream || document.hidden) return;
    stream = new EventSource(`/jobs/${encodeURIComponent(id)}/events`);
    stream.onmessage = ({ data }) => tell(JSON.parse(data));
    stream.onerror = () => {
      const isRefused = stream?.readyState === EventSource.CLOSED;
      tell({ state: isRefused ? "gone" : "lost" });
    };
  };
  function onVisibility() {
    if (document.hidden) pause();
    else listen();
  }
  document.addEventListener("visibilitychange", onVisibility);
  listen();
  return end;
}
