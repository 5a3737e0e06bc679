/** The language that the person reads. */
import { read, write } from "./db.js";

/** @type {Lang} */
let current = navigator.language.toLowerCase().startsWith("ru") ? "ru" : "en";

export function lang() {
    return current;
}

/** Reads what was chosen; before the first text is shown. */
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
 * The text in that language.
 * @template T
 * @param {{en: T, ru: T}} text
 * @returns {T}
 */
export function say(text) {
    return text[current];
}

/**
 * The form that goes with a number.
 * @param {number} n
 * @param {Partial<Record<Intl.LDMLPluralRule, string>> & {other: string}} forms
 */
export function plural(n, forms) {
    return forms[new Intl.PluralRules(current).select(n)] ?? forms.other;
}
