/** Links in a text that somebody else wrote: web pages and phone numbers, with the host in plain sight; nothing else. */
import { el } from "../dom.js";

const LINK = /\b(?:https?:\/\/[^\s<>"«»]+|tel:\+?[\d()\-. ]*\d)/gi;

/** What belongs to the sentence around an address. */
const AFTER = /[.,;:!?'…]+$|[)\]]+[.,;:!?…]*$/;

/**
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function linked(text) {
    /** @type {(Node | string)[]} */
    const parts = [];
    let at = 0;
    for (const { 0: match, index } of text.matchAll(LINK)) {
        const address = trimmed(match);
        const link = toLink(address);
        if (!link) continue;
        parts.push(text.slice(at, index), link);
        at = index + address.length;
    }
    return [...parts, text.slice(at)];
}

/**
 * The same for a screen that nobody touches: phone numbers as people write them.
 * @param {string} text
 */
export function unlinked(text) {
    return text.replace(/\btel:(?=\+?\d)/gi, "");
}

/** @param {string} match */
function trimmed(match) {
    const tail = AFTER.exec(match)?.[0] ?? "";
    // A bracket that was opened within the address belongs to it.
    return tail.startsWith(")") && match.includes("(") ? match : match.slice(0, match.length - tail.length);
}

/** @param {string} address */
function toLink(address) {
    if (address.toLowerCase().startsWith("tel:")) {
        return el("a", { href: `tel:${address.slice(4).replace(/[^\d+]/g, "")}` }, address.slice(4).trim());
    }
    const url = parsed(address);
    if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
    const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer" };
    // The host as the browser reads it: text before an @ and look-alike letters show themselves, and marks of direction in the
    // address change nothing outside it.
    return el("span", {}, el("a", attributes, el("bdi", {}, address)), el("bdi", { class: "host" }, ` (${url.host})`));
}

/** @param {string} address */
function parsed(address) {
    try {
        return new URL(address);
    } catch {
        return null;
    }
}
