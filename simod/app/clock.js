/** The server's time. A phone's clock may be hours off, and the server's decides when a message expires. */
import { read, writeWhilePaired } from "./db.js";
import { emit, on } from "./events.js";

/** How many minutes this phone's clock may be off before we say so. */
const CLOCK_MINUTES = 5;

/** Milliseconds of uncertainty: an answer may take this long, and its time is in whole seconds. */
const UNSURE = 5_000;

/** Milliseconds that this phone's clock is ahead; null: unknown. @type {number | null} */
let ahead = null;

/** Reads the offset stored last. */
export async function loadClock() {
    ahead ??= (await read("clock")) ?? null;
}

/** @param {Response} response of the server */
export function noteClock(response) {
    const off = Date.now() - Date.parse(response.headers.get("Date") ?? "");
    if (Number.isNaN(off)) return;
    const minutes = Math.round(off / 60_000);
    emit("clock", Math.abs(minutes) > CLOCK_MINUTES ? minutes : 0);
    if (ahead !== null && Math.abs(off - ahead) < UNSURE) return;
    ahead = off;
    void writeWhilePaired("clock", off).catch(() => null);
}

export function serverNow() {
    return Date.now() - (ahead ?? 0);
}

/** @param {{expires_at: string}} message */
export function isOver(message) {
    return Date.parse(message.expires_at) <= serverNow();
}

/**
 * Whether it has expired beyond doubt: the clock may have been set since the server told its time.
 * @param {{expires_at: string}} message
 */
export function isSurelyOver(message) {
    return ahead !== null && isOver(message) && Date.parse(message.expires_at) <= Date.now();
}

// The stored offset is deleted with the pairing.
on("gone", () => (ahead = null));
on("paired", () => (ahead = null));
