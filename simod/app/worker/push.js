/**
 * Handles a push. It is shown at once, without waiting for the network; then it is stored, reported and completed: the
 * server's list is authoritative, a push is only a hint.
 */
import { loadClock } from "../clock.js";
import { read, writeWhilePaired } from "../db.js";
import { loadLang, plural, say } from "../lang.js";
import { all, catchUp, isRead, isUnread, keep, one, owner, sound, whole } from "../messages.js";
import { sendAll } from "../receipts.js";
import { closeNotifications } from "../registration.js";
import { closeRead } from "../shown.js";
import { subscribeAndTell } from "../subscribe.js";
import { call } from "../api.js";
import { emitToAll, on } from "../events.js";
import { soon, worker } from "./scope.js";
import { show, showPlain, showUnknown } from "./show.js";

/** Milliseconds for reading the database before something must be shown. */
const LOOKED_WITHIN = 400;
/** Milliseconds for the work after that; phones kill a worker after half a minute. */
const DONE_WITHIN = 25_000;
/** The most missed messages shown one by one; the others are only counted. */
const ONE_BY_ONE = 4;

/**
 * A push's content; `null` if it cannot be read.
 * @param {PushData} data
 * @returns {(SentMessage & {partial: boolean, head: boolean, doorbell?: boolean, shown: {title: string, body: string}}) | null}
 */
function parsed(data) {
    try {
        const { notification } = data?.json() ?? {};
        const { title = notification.title, truncated, doorbell, ...rest } = notification.data;
        const message = sound({ ...rest, title, data: null, state: "sent" });
        const shown = { title: String(notification.title ?? ""), body: String(notification.body ?? "") };
        // Pushes never carry the posting system's data, so the whole message is fetched.
        return message && { ...message, partial: true, head: Boolean(doorbell || truncated), doorbell, shown };
    } catch {
        return null;
    }
}

/** @param {PushData} data */
async function onPush(data) {
    const push = parsed(data);
    if (!push) {
        await showUnknown();
    } else if (push.doorbell) {
        await showPlain(push.shown.title, { body: push.shown.body, tag: push.id, data: { id: push.id } });
    } else {
        await soon(Promise.all([loadLang(), loadClock()]), LOOKED_WITHIN, undefined);
        const known = await soon(one(push.id), LOOKED_WITHIN, undefined);
        await show(push, { again: known && isRead(known) });
    }
    await soon(follow(push), DONE_WITHIN, undefined);
}

/** @param {ReturnType<typeof parsed>} push */
async function follow(push) {
    const whose = await owner();
    if (!whose) return;
    if (push) {
        const { shown, doorbell, ...message } = push;
        await writeWhilePaired("lastPush", { at: new Date().toISOString(), id: push.id });
        if (!doorbell) await keep([message], whose);
        emitToAll("push", { id: push.id, at: Date.now() });
    }
    const [missed] = await Promise.all([catchUp().catch(() => []), sendAll().catch(() => null)]);
    // Usually the list has already completed this message, too.
    await complete(push).catch(() => null);
    await showMissed(missed.filter((message) => message.id !== push?.id && !isRead(message) && !message.old));
    if (!push && missed.length) await closeNotifications("unknown");
    await sendAll();
    await closeRead();
    await setBadge();
}

/**
 * Fetches the parts that did not fit into a push, and updates its notification.
 * @param {ReturnType<typeof parsed>} push
 */
async function complete(push) {
    if (!push) return;
    const message = await whole(push.id);
    if (!message) await closeNotifications(push.id);
    if (message && (push.doorbell || push.body !== message.body)) await show(message, { again: true });
}

/** @param {Message[]} missed the newest first */
async function showMissed(missed) {
    for (const message of missed.slice(0, ONE_BY_ONE)) await show(message);
    const rest = missed.length - ONE_BY_ONE;
    if (rest <= 0) return;
    const forms = say({
        en: { one: "more message", other: "more messages" },
        ru: { one: "сообщение", few: "сообщения", other: "сообщений" },
    });
    await showPlain(`${say({ en: "And", ru: "И ещё" })} ${rest} ${plural(rest, forms)}`, { tag: "rest", data: {} });
}

async function setBadge() {
    await navigator.setAppBadge?.((await all()).filter(isUnread).length).catch(() => null);
}

/** Sends waiting receipts, and shows missed messages. */
async function wake() {
    if (!(await read("device"))) return;
    await sendAll();
    await showMissed((await catchUp()).filter((message) => !isRead(message) && !message.old));
    await sendAll();
}

/** Called when the push service has changed the browser's address. */
async function resubscribe() {
    /** @type {OwnDevice} */
    const own = await call("GET", "/device");
    if (own.webpush) await subscribeAndTell(worker.registration, own.webpush.key);
}

worker.addEventListener("push", (event) => event.waitUntil(onPush(event.data).catch(showUnknown)));
worker.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(soon(resubscribe(), DONE_WITHIN, undefined)));
worker.addEventListener("sync", (event) => event.waitUntil(wake()));
worker.addEventListener("message", (event) => {
    if (event.origin !== worker.location.origin) return;
    const { type, detail } = event.data ?? {};
    // A page without a working push service shows messages from its stream.
    if (type === "show") event.waitUntil(Promise.all([loadLang(), loadClock()]).then(() => show(detail)));
});
on("gone", ({ reason }) => {
    if (reason !== "dead") return;
    void showPlain(say({ en: "This phone is not paired any more", ru: "Этот телефон больше не подключён" }), {
        body: say({
            en: "Its messages were deleted here. Ask an administrator for a new invitation.",
            ru: "Сообщения на нём удалены. Запросите у администратора новое приглашение.",
        }),
        tag: "gone",
        data: {},
    });
});
