/** Closes notifications of messages that need no attention any more. */
import { isRead, one } from "./messages.js";
import { registration } from "./registration.js";

/** Closes those of messages read on another phone. */
export async function closeRead() {
    for (const notification of (await (await registration())?.getNotifications().catch(() => [])) ?? []) {
        const message = notification.tag ? await one(notification.tag) : undefined;
        if (message && isRead(message)) notification.close();
    }
}
