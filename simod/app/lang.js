/** The language of the app. */
import { read, write } from "./db.js";

/** @type {Lang} */
let current = navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en";

export function lang() {
    return current;
}

/** Reads the chosen language; call before showing the first text. */
export async function loadLang() {
    const chosen = await read("lang");
    if (chosen === "ru" || chosen === "en") current = chosen;
}

/** @param {Lang} chosen */
export async function setLang(chosen) {
    current = chosen;
    await write("lang", chosen);
}

/**
 * The text in the current language.
 * @template T
 * @param {{en: T, ru: T}} text
 * @returns {T}
 */
export function say(text) {
    return text[current];
}

/**
 * The plural form for a number.
 * @param {number} n
 * @param {Partial<Record<Intl.LDMLPluralRule, string>> & {other: string}} forms
 */
export function plural(n, forms) {
    return forms[new Intl.PluralRules(current).select(n)] ?? forms.other;
}
