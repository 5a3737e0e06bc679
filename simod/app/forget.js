/** When the phone is unpaired, by the person or by the server, nothing that was received stays. */
import { erase, write } from "./db.js";
import { emitToAll } from "./events.js";
import { closeNotifications, registration } from "./registration.js";

/**
 * @param {"left" | "dead"} reason
 * @param {string} [dead] the token that the server does not know any more: perhaps another one has its place by now
 */
export async function forget(reason, dead) {
    if (!(await erase({ dead }))) return;
    // Until the person was told, be it at the next start.
    await write("gone", reason);
    await quiet();
    emitToAll("gone", { reason });
}

/** Takes away what the system shows and holds for a pairing. */
export async function quiet() {
    await closeNotifications();
    // Otherwise the push service goes on taking pushes for the person who had this browser.
    await (await registration())?.pushManager?.getSubscription().then((subscription) => subscription?.unsubscribe()).catch(() => false);
    await navigator.clearAppBadge?.().catch(() => null);
}
