/** The server's time. A phone's clock may be hours off, and what is over is so by the server's. */
import { read, writeWhilePaired } from "./db.js";
import { emit, on } from "./events.js";

/** Minutes by which this phone's clock may be off before it is told so. */
const CLOCK_MINUTES = 5;

/** Milliseconds: an answer is under way so long, and says whole seconds. */
const UNSURE = 5_000;

/** Milliseconds that this phone's clock is ahead; null: the server has not said. @type {number | null} */
let ahead = null;

/** Reads what the server said last. */
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
 * Whether it is over without a doubt: the clock may have been set since the server said its time.
 * @param {{expires_at: string}} message
 */
export function isSurelyOver(message) {
    return ahead !== null && isOver(message) && Date.parse(message.expires_at) <= Date.now();
}

// What is kept went with the pairing.
on("gone", () => (ahead = null));
on("paired", () => (ahead = null));
