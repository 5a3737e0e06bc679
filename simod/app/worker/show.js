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
 * A notification of a message, under its id: the same message is never shown twice.
 * @param {SentMessage} message
 * @param {{again?: boolean}} [more] it was shown or read already: no sound
 */
export async function show(message, { again = false } = {}) {
    // When in doubt an alarm is loud.
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
 * Shows something whatever happens: browsers end the subscription of a worker that shows nothing.
 * @param {string} title
 * @param {Record<string, any>} options
 */
export async function showPlain(title, options) {
    try {
        await worker.registration.showNotification(title, options);
    } catch {
        // A browser may refuse all options because of one.
        const { body, tag, data } = options;
        await worker.registration.showNotification(title, { body, tag, data });
    }
}

/** When nothing is known of a push. */
export function showUnknown() {
    return showPlain(say({ en: "New message", ru: "Новое сообщение" }), { tag: "unknown", icon: ICON, data: {} });
}
