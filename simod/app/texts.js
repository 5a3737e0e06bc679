/** The views' texts in the language of the app; the other language is not loaded. */
import { Problem } from "./api.js";
import { lang } from "./lang.js";

/** @typedef {typeof import("./texts/en.js").en} Texts */

/** @type {Texts} */
let current;

/** Loads the texts; call before showing the first of them. */
export async function loadTexts() {
    current = lang() === "ru" ? (await import("./texts/ru.js")).ru : (await import("./texts/en.js")).en;
}

export function texts() {
    return current;
}

/**
 * An error's text for the person.
 * @param {unknown} error
 */
export function wordsOf(error) {
    return error instanceof Problem ? error.message : current.unexpected;
}
