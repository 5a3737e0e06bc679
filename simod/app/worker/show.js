/** Notifications: what a message looks like on the lock screen. */
import { isSurelyOver } from "../clock.js";
import { say } from "../lang.js";
import { worker } from "./scope.js";

const PRIORITIES = {
    low: { en: "not urgent", ru: "не срочно" },
    normal: { en: "", ru: "" },
    high: { en: "important", ru: "важно" },
    critical: { en: "critical", ru: "критично" },
};

const ICON = "v/{{HASH}}/icon-192.png";

/**
 * Shows a message's notification under its id, so that no message is shown twice.
 * @param {SentMessage} message
 * @param {{again?: boolean}} [more] without sound, because it was shown or read before
 */
export async function show(message, { again = false } = {}) {
    // If in doubt, an alarm is loud.
    const late = isSurelyOver(message);
    const where = [message.topic_name ?? message.topic, say(PRIORITIES[message.priority] ?? PRIORITIES.normal)];
    const lines = [where.filter(Boolean).join(" · "), message.body].filter(Boolean);
    const acknowledge = { action: "ack", title: say({ en: "Acknowledge", ru: "Подтвердить" }) };
    const open = { action: "open", title: say({ en: "Open", ru: "Открыть" }) };
    await showPlain(late ? `${say({ en: "Late", ru: "С опозданием" })}: ${message.title}` : message.title, {
        body: lines.join("\n"),
        tag: message.id,
        icon: ICON,
        badge: ICON,
        timestamp: Date.parse(message.accepted_at),
        silent: again || late || message.priority === "low",
        renotify: !again && !late && message.priority !== "low",
        requireInteraction: message.priority === "critical" && !late,
        actions: message.require_ack && !late ? [acknowledge, open] : [open],
        data: { id: message.id },
    });
}

/**
 * Shows something in any case: browsers end the subscription of a worker that shows nothing.
 * @param {string} title
 * @param {Record<string, any>} options
 */
export async function showPlain(title, options) {
    try {
        await worker.registration.showNotification(title, options);
    } catch {
        // One unsupported option may make the browser refuse all of them.
        const { body, tag, data } = options;
        await worker.registration.showNotification(title, { body, tag, data });
    }
}

/** For a push with unknown content. */
export function showUnknown() {
    return showPlain(say({ en: "New message", ru: "Новое сообщение" }), { tag: "unknown", icon: ICON, data: {} });
}
