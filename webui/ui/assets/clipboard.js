// Copying text, also over plain http, where browsers offer only the old way.

import { h } from "./core.js";

export async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = h("textarea", { style: "position: fixed; left: -9999px" });
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}
