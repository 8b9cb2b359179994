/** Light or dark: the system's, unless somebody chose. */

import { makeStore } from "./store";

export type Theme = "system" | "light" | "dark";

const NAME = "tellurio-theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(NAME);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

export const theme = makeStore<Theme>(stored());

/** Grows with each change of what colours look like: charts are painted again. */
export const paint = makeStore(0);

export function chooseTheme(chosen: Theme): void {
  try {
    if (chosen === "system") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, chosen);
  } catch {
    // private windows may not store: it holds for this page
  }
  theme.set(chosen);
  show();
}

export function show(): void {
  const { dataset } = document.documentElement;
  if (theme.get() === "system") delete dataset["theme"];
  else dataset["theme"] = theme.get();
  paint.set(paint.get() + 1);
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
