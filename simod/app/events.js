/** What parts of the app tell each other, in this window, or in all that this browser has. */

/** This SiMO among others of the same origin, in names of what the browser keeps for all of it. */
export const PLACE = `simo ${new URL("./", location.href).pathname}`;

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(PLACE) : null;

/** @type {Map<string, Set<(detail: any, isElsewhere: boolean) => void>>} */
const listeners = new Map();

/**
 * Calls `f` with each `name`, until the function that is returned is called.
 * @param {string} name
 * @param {(detail: any, isElsewhere: boolean) => void} f
 */
export function on(name, f) {
    const known = listeners.get(name) ?? new Set();
    listeners.set(name, known.add(f));
    return () => {
        known.delete(f);
    };
}

/**
 * @param {string} name
 * @param {any} [detail]
 */
export function emit(name, detail = null) {
    for (const f of listeners.get(name) ?? []) f(detail, false);
}

/**
 * Tells other windows, too; the worker hears nothing.
 * @param {string} name
 * @param {any} [detail]
 */
export function emitToAll(name, detail = null) {
    emit(name, detail);
    channel?.postMessage({ name, detail });
}

if (channel && "document" in globalThis) {
    channel.onmessage = ({ data: { name, detail } }) => {
        for (const f of listeners.get(name) ?? []) f(detail, true);
    };
}
