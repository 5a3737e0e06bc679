/** The worker's global scope, and the pages that it serves. */
import { within } from "../subscribe.js";

export const worker = /** @type {WorkerScope} */ (/** @type {unknown} */ (self));

/** The app's open pages; the origin may have others. */
export async function ownPages() {
    const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
    return pages.filter((page) => page.url.startsWith(worker.registration.scope));
}

/**
 * The result of `promise` within so many milliseconds, else `otherwise`.
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
export function soon(promise, ms, otherwise) {
    return within(promise, ms).catch(() => otherwise);
}
