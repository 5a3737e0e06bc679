/** The worker's registration and its notifications, in a page and in the worker itself. */

/** The registration, if there is one. @returns {Promise<ServiceWorkerRegistration | undefined>} */
export async function registration() {
    const own = /** @type {{registration?: ServiceWorkerRegistration}} */ (globalThis).registration;
    return own ?? (await navigator.serviceWorker?.getRegistration("./").catch(() => undefined));
}

/** @param {string} [tag] only those with this tag */
export async function closeNotifications(tag) {
    const shown = await (await registration())?.getNotifications({ tag }).catch(() => []);
    for (const notification of shown ?? []) notification.close();
}
