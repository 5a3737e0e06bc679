/** When the phone is unpaired, by the person or by the server, no received data stay. */
import { erase, write } from "./db.js";
import { emitToAll } from "./events.js";
import { closeNotifications, registration } from "./registration.js";

/**
 * @param {"left" | "dead"} reason
 * @param {string} [dead] the token that the server no longer knows; another pairing may have replaced it by now
 */
export async function forget(reason, dead) {
    if (!(await erase({ dead }))) return;
    // Kept until the person has been told, perhaps only at the next start.
    await write("gone", reason);
    await quiet();
    emitToAll("gone", { reason });
}

/** Closes the notifications of a pairing and ends its subscription. */
export async function quiet() {
    await closeNotifications();
    // Otherwise the push service keeps accepting pushes for the previous person.
    await (await registration())?.pushManager?.getSubscription().then((subscription) => subscription?.unsubscribe()).catch(() => false);
    await navigator.clearAppBadge?.().catch(() => null);
}
