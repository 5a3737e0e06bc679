/** Pairing codes, as people type and paste them. */

/** Cyrillic letters that look like Latin ones. */
const LOOK_ALIKES = new Map([..."АВЕКМНОРСТУХ"].map((letter, place) => [letter, "ABEKMHOPCTYX"[place]]));

/** Characters of a code. */
const LENGTH = 10;

/**
 * The bare code in what was typed or pasted, which may be a whole link; empty when there is none.
 * @param {string} typed
 */
export function normalize(typed) {
    const inLink = /[#?&](?:pair|code)=([^&\s]+)/.exec(typed)?.[1];
    const letters = [...(inLink ?? typed).toUpperCase()].map((letter) => LOOK_ALIKES.get(letter) ?? letter).join("");
    const code = letters.replace(/[\s\u00a0\u2010-\u2015\u2212-]/g, "");
    return /^[0-9A-Z]+$/.test(code) && code.length === LENGTH ? code : "";
}

/**
 * As it is written on invitations: K7QD-M2XA-9F.
 * @param {string} code normalized
 */
export function shown(code) {
    return code.replace(/(.{4})(?=.)/g, "$1-");
}
