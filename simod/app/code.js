/** Pairing codes, as people type and paste them. */

/** Cyrillic letters that look like a character of a code. */
const LOOK_ALIKES = new Map([..."АВЕЗКМНОРСТУХ"].map((letter, place) => [letter, "ABE3KMHOPCTYX"[place]]));

/** No character that is taken for another one. */
const CODE = /^[2-9A-HJKMNP-Z]{10}$/;
const DASHES = /[\s\u00a0\u2010-\u2015\u2212-]/g;
/** A code among other words. */
const AMONG_WORDS = /(?:^|[^0-9A-Z])([0-9A-Z]{4})[\s\u2010-\u2015-]?([0-9A-Z]{4})[\s\u2010-\u2015-]?([0-9A-Z]{2})(?![0-9A-Z])/;

/** @param {string} typed */
function latin(typed) {
    const inLink = /[#?&](?:pair|code)=([^&\s]+)/.exec(typed)?.[1];
    return [...(inLink ?? typed).toUpperCase()].map((letter) => LOOK_ALIKES.get(letter) ?? letter).join("");
}

/**
 * The bare code in what was typed or pasted, which may be a whole link or message; empty when there is none.
 * @param {string} typed
 */
export function normalize(typed) {
    const letters = latin(typed);
    const among = AMONG_WORDS.exec(letters)?.slice(1).join("") ?? "";
    return [letters.replace(DASHES, ""), among].find((code) => CODE.test(code)) ?? "";
}

/**
 * What is wrong with what is no code.
 * @param {string} typed
 * @returns {"codeCyrillic" | "codeAlphabet" | "codeShort"} the text that says so
 */
export function wrongIn(typed) {
    const letters = latin(typed).replace(DASHES, "");
    if (/\p{Script=Cyrillic}/u.test(letters)) return "codeCyrillic";
    return /^[0-9A-Z]{10}$/.test(letters) ? "codeAlphabet" : "codeShort";
}

/**
 * As it is written on invitations: K7QD-M2XA-9F.
 * @param {string} code normalized
 */
export function shown(code) {
    return code.replace(/(.{4})(?=.)/g, "$1-");
}
