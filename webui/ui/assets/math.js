// Formulas: KaTeX, as Gradio ships it, loaded when the first formula appears.

const { katex } = window.kajogaki;
let loading = null;

/** Typeset every formula in `element`. Until KaTeX is there, its TeX stays readable. */
export async function typeset(element) {
  const formulas = [...element.querySelectorAll(".math:not(.set)")];
  if (!formulas.length) return;
  const { default: library } = await load();
  for (const formula of formulas) {
    const tex = formula.textContent;
    const displayMode = formula.classList.contains("math-display");
    // trust: false keeps \href, \url and \includegraphics inert.
    library.render(tex, formula, { displayMode, throwOnError: false, trust: false,
      strict: "ignore", maxSize: 20, maxExpand: 200 });
    formula.classList.add("set");
  }
}

function load() {
  if (!loading) {
    const style = document.createElement("link");
    Object.assign(style, { rel: "stylesheet", href: katex.style });
    document.head.append(style);
    loading = import(katex.script);
  }
  return loading;
}
