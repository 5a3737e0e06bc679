/** On a screen shared by several people: asks who acknowledges. */
import { read, write } from "../db.js";
import { button, dialog, el } from "../dom.js";
import { texts } from "../texts.js";

/** The most names offered. */
const REMEMBERED = 12;

/**
 * @param {string} title of the message
 * @returns {Promise<string>} empty if canceled
 */
export async function askWho(title) {
    const t = texts();
    /** @type {string[]} */
    const names = (await read("names")) ?? [];
    const name = await dialog({ class: "who", "aria-labelledby": "who-title" }, "", (answer) => {
        const field = el("input", { id: "who", maxlength: "100", autocomplete: "off", required: true });
        const submit = (/** @type {Event} */ event) => {
            event.preventDefault();
            // A name copied from a table brings a tab, and the server accepts no control characters.
            const name = field.value.replace(/\p{Cc}+/gu, " ").trim();
            if (name) answer(name);
        };
        return [
            el("h2", { id: "who-title" }, t.wallWho),
            el("p", {}, title),
            el("div", { class: "buttons" }, names.map((known) => button(known, () => answer(known), { class: "name" }))),
            el("form", { onsubmit: submit },
                el("label", { for: "who" }, t.wallName), field,
                el("div", { class: "buttons" }, button(t.cancel, () => answer("")), el("button", { class: "big" }, t.acknowledge))),
        ];
    });
    if (name) await write("names", [name, ...names.filter((known) => known !== name)].slice(0, REMEMBERED));
    return name;
}
