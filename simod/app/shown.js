/** Notifications of messages that need nobody here any more. */
import { isRead, one } from "./messages.js";
import { registration } from "./registration.js";

/** Takes away what was read on another phone. */
export async function closeRead() {
    for (const notification of (await (await registration())?.getNotifications().catch(() => [])) ?? []) {
        const message = notification.tag ? await one(notification.tag) : undefined;
        if (message && isRead(message)) notification.close();
    }
}
