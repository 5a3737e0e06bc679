/** Pairing codes as people type and paste them. */

/** Cyrillic letters that look like a character of a code. */
const LOOK_ALIKES = new Map([..."АВЕЗКМНОРСТУХ"].map((letter, place) => [letter, "ABE3KMHOPCTYX"[place]]));

/** The alphabet has no characters that are mistaken for each other. */
const CODE = /^[2-9A-HJKMNP-Z]{10}$/;
const DASHES = /[\s\u00a0\u2010-\u2015\u2212-]/g;
/** A code inside other text. */
const AMONG_WORDS = new RegExp(`(?:^|[^0-9A-Z])${[4, 4, 2].map((n) => `([2-9A-HJKMNP-Z]{${n}})`).join("[\\s\\u2010-\\u2015\\u2212-]?")}(?![0-9A-Z])`);

/** @param {string} typed */
function latin(typed) {
    const inLink = /[#?&](?:pair|code)=([^&\s]+)/.exec(typed)?.[1];
    return [...(inLink ?? typed).toUpperCase()].map((letter) => LOOK_ALIKES.get(letter) ?? letter).join("");
}

/**
 * The bare code in typed or pasted text, which may be a whole link or message; empty if there is none.
 * @param {string} typed
 */
export function normalize(typed) {
    const letters = latin(typed);
    const among = AMONG_WORDS.exec(letters)?.slice(1).join("") ?? "";
    return [letters.replace(DASHES, ""), among].find((code) => CODE.test(code)) ?? "";
}

/**
 * The reason why a text is not a code.
 * @param {string} typed
 * @returns {"codeCyrillic" | "codeAlphabet" | "codeShort"} the name of the text for it
 */
export function wrongIn(typed) {
    const letters = latin(typed).replace(DASHES, "");
    if (/\p{Script=Cyrillic}/u.test(letters)) return "codeCyrillic";
    return /^[0-9A-Z]{10}$/.test(letters) ? "codeAlphabet" : "codeShort";
}

/**
 * The code as invitations show it: K7QD-M2XA-9F.
 * @param {string} code normalized
 */
export function shown(code) {
    return code.replace(/(.{4})(?=.)/g, "$1-");
}
