/** Links in texts by others: web pages and phone numbers only, with the host in plain sight. */
import { el } from "../dom.js";

const LINK = /\b(?:https?:\/\/[^\s<>"«»]+|tel:\+?[\d()\-. ]*\d)/gi;

/** Punctuation of the sentence around an address. */
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
 * The same for a screen that nobody touches: phone numbers as written.
 * @param {string} text
 */
export function unlinked(text) {
    return text.replace(/\btel:(?=\+?\d)/gi, "");
}

/** @param {string} match */
function trimmed(match) {
    const tail = AFTER.exec(match)?.[0] ?? "";
    // A bracket opened inside the address belongs to it.
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
    // The host as the browser parsed it, which exposes text before an @ and look-alike letters; direction marks in the
    // address affect nothing outside it.
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
