// What a reader chooses for the whole page in this browser: its language, its colours, to log out.

import { logOut, user } from "./activity.js";
import { language, store, stored, t } from "./core.js";
import { menu } from "./dialogs.js";

const LANGUAGES = { ja: "日本語", en: "English" };
const THEMES = { system: "screen", light: "sun", dark: "moon" };

/** Open the choices at `button`. */
export function preferences(button) {
  menu(button, [
    ...Object.entries(LANGUAGES).map(([code, name]) => ({ label: name, icon: "globe", lang: code,
      checked: code === language, run: () => chooseLanguage(code) })),
    "-",
    ...Object.entries(THEMES).map(([name, symbol]) => ({ label: t(`theme_${name}`), icon: symbol,
      checked: name === (stored("theme") || "system"), run: () => chooseTheme(name) })),
    ...(user() ? ["-", { label: t("log_out", { user: user() }), icon: "exit", run: logOut }] : []),
  ]);
}

function chooseLanguage(code) {
  document.cookie = `${window.kajogaki.languageCookie}=${code}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
}

function chooseTheme(name) {
  store("theme", name);
  window.kajogaki.applyTheme();
}
