/** Handles a tap on a notification or its button. */
import { read } from "../db.js";
import { loadLang, say } from "../lang.js";
import { one } from "../messages.js";
import { note, sendAll } from "../receipts.js";
import { ownPages, soon, worker } from "./scope.js";
import { showPlain } from "./show.js";

/** Milliseconds for sending an acknowledgement before we tell the person that it waits. */
const SENT_WITHIN = 8_000;

/** Milliseconds for a page to answer. */
const OPENED_IN_PAGE_WITHIN = 1000;

/** @param {{action: string, notification: Notification}} event */
async function onClick({ action, notification }) {
    const id = notification.data?.id;
    notification.close();
    // On a screen shared by several people, the page asks for the name.
    if (action === "ack" && id && !(await read("shared"))) {
        await acknowledge(id);
        return;
    }
    const pages = await ownPages();
    pages.sort((one, other) => Number(other.visibilityState === "visible") - Number(one.visibilityState === "visible"));
    for (const page of pages) {
        if (await opens(page, id ?? null)) {
            await page.focus().catch(() => null);
            return;
        }
    }
    await worker.clients.openWindow(id ? `./#m=${id}` : "./");
}

/**
 * Whether a page opens the message; a wall does not.
 * @param {WindowClient} page
 * @param {string | null} id
 * @returns {Promise<boolean>}
 */
function opens(page, id) {
    const { port1, port2 } = new MessageChannel();
    /** @type {Promise<boolean>} */
    const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
    page.postMessage({ type: "open", detail: id }, [port2]);
    return soon(answer, OPENED_IN_PAGE_WITHIN, false);
}

/** @param {string} id */
async function acknowledge(id) {
    await loadLang();
    await note(id, "acknowledged");
    const sent = await soon(sendAll(), SENT_WITHIN, "later");
    if (sent !== "sent") await worker.registration.sync?.register("receipts").catch(() => null);
    const message = await one(id);
    await showPlain(sent === "sent"
        ? say({ en: "Acknowledged, SiMO has it", ru: "Подтверждено, SiMO знает" })
        : say({ en: "Kept on this phone, not sent yet", ru: "Сохранено на телефоне, ещё не отправлено" }), {
        body: message?.title ?? "",
        tag: id,
        silent: true,
        data: { id },
    });
}

worker.addEventListener("notificationclick", (event) => event.waitUntil(onClick(event)));
