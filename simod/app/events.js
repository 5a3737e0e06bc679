/** Events between parts of the app, in this window or in all windows of the browser. */

/** Tells this SiMO's data from those of others on the same origin, in names that the browser shares per origin. */
export const PLACE = `simo ${new URL("./", location.href).pathname}`;

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(PLACE) : null;

/** @type {Map<string, Set<(detail: any, isElsewhere: boolean) => void>>} */
const listeners = new Map();

/**
 * Calls `f` for each event `name`, until the returned function is called.
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
 * Sends the event to other windows, too; the worker does not hear it.
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
