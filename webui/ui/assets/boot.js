// Runs before anything is painted: colours, Gradio's language, the guard for input methods.
// Inlined into the head by boot.py after `window.kajogaki = {language, strings, …}`.
(() => {
  const app = window.kajogaki;

  app.stored = (name) => {
    try { return localStorage.getItem(`kajogaki.${name}`); } catch { return null; }
  };
  app.store = (name, value) => {
    try {
      if (value === null) localStorage.removeItem(`kajogaki.${name}`);
      else localStorage.setItem(`kajogaki.${name}`, value);
    } catch { /* storage is full or forbidden: nothing is remembered, everything else works */ }
  };

  // Gradio translates its labels by navigator.language; ours is the reader's choice.
  for (const [name, value] of [["language", app.language], ["languages", [app.language]]]) {
    Object.defineProperty(navigator, name, { get: () => value, configurable: true });
  }

  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  app.applyTheme = () => {
    const chosen = app.stored("theme") || "system";
    const dark = chosen === "system" ? systemIsDark.matches : chosen === "dark";
    for (const element of [document.documentElement, document.body]) {
      element?.classList.toggle("dark", dark);
    }
  };
  app.applyTheme();
  systemIsDark.addEventListener("change", app.applyTheme);
  document.addEventListener("DOMContentLoaded", () => {
    app.applyTheme();
    // Gradio sets the class by the system's preference when it starts.
    new MutationObserver(app.applyTheme)
      .observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });

  document.documentElement.dataset.view = new URLSearchParams(location.search).get("view") || "chat";
  if (app.stored("side") === "closed") document.documentElement.classList.add("side-closed");
  if (app.stored("panel") === "open" && innerWidth > 1100) {
    document.documentElement.classList.add("panel-open");
  }

  // Enter and Esc belong to the input method while it composes, in every text box of the page.
  // Safari sends the closing Enter after compositionend, recognisable only by key code 229.
  for (const type of ["keydown", "keypress"]) {
    addEventListener(type, (event) => {
      if (event.isComposing || event.keyCode === 229) event.stopImmediatePropagation();
    }, true);
  }
})();
