/** What the phone reports back, kept in order until the server has it. */
import { Problem, call } from "./api.js";
import { change } from "./db.js";
import { emit, emitToAll } from "./events.js";

/** Receipts of one request: the server takes a thousand, and a request that outlives its page 64 KiB. */
const AT_ONCE = 200;

/** Milliseconds until a failed request is repeated, unless something else sends before. */
const SENT_AGAIN_AFTER = 15_000;

/** On their way now: `message kind`. @type {Set<string>} */
const underWay = new Set();

/** @param {QueuedReceipt} receipt */
function name(receipt) {
    return `${receipt.message_id} ${receipt.kind}`;
}

/**
 * Notes what happened, and sends it.
 * @param {string} id
 * @param {ReceiptKind} kind
 * @param {string} [by] who, at a shared screen
 * @returns {Promise<Sent>}
 */
export async function report(id, kind, by) {
    await note(id, kind, by);
    return sendAll();
}

/**
 * Notes what happened. The first receipt of a kind counts.
 * @param {string} id
 * @param {ReceiptKind} kind
 * @param {string} [by]
 */
export async function note(id, kind, by) {
    await change(async (kept) => {
        /** @type {Message | undefined} */
        const message = await kept.get("messages", id);
        const known = message?.receipts[kind];
        if (known && known.refused !== "invalid") return;
        const receipt = { at: new Date().toISOString(), ...(by ? { by } : {}) };
        if (message) kept.put("messages", { ...message, receipts: { ...message.receipts, [kind]: receipt } });
        kept.put("receipts", { message_id: id, kind, ...receipt });
    });
    emitToAll("messages", [id]);
}

/** @typedef {"sent" | "later" | "blocked" | "gone"} Sent what became of all that waited */

/** @type {Promise<Sent> | undefined} */
let sending;
let again = false;
let retryTimer = 0;

/**
 * Sends all that waits. What is noted meanwhile goes with it.
 * @returns {Promise<Sent>}
 */
export function sendAll() {
    again = true;
    sending ??= send().finally(() => (sending = undefined));
    return sending;
}

/** @returns {Promise<Sent>} */
async function send() {
    try {
        while (again) {
            again = false;
            /** @type {[IDBValidKey, QueuedReceipt][]} */
            const waiting = await change((kept) => kept.entries("receipts", AT_ONCE));
            if (waiting.length) await sendSome(waiting);
            again ||= waiting.length === AT_ONCE;
        }
        return "sent";
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.code === "unauthenticated") return "gone";
        if (error.code === "blocked") return "blocked";
        clearTimeout(retryTimer);
        retryTimer = setTimeout(() => void sendAll().catch(() => null), Math.max(SENT_AGAIN_AFTER, error.retryAfter * 1000));
        return "later";
    }
}

/** @typedef {[IDBValidKey, QueuedReceipt][]} Waiting */

/** @param {Waiting} waiting */
async function sendSome(waiting) {
    for (const [, receipt] of waiting) underWay.add(name(receipt));
    emit("receipts");
    try {
        const { unknown = [], refused = [] } = await call("POST", "/device/receipts", { body: waiting.map(([, receipt]) => receipt) });
        const bad = new Set(refused.map((/** @type {{index: number}} */ { index }) => index));
        await settle(waiting, ({ message_id }, place) => (bad.has(place) ? "invalid" : unknown.includes(message_id) ? "unknown" : null));
    } catch (error) {
        // The server can read nothing of it, and never will; a proxy's word is none.
        if (!(error instanceof Problem) || ![400, 413, 422].includes(error.status) || error.code === "html") throw error;
        if (waiting.length === 1) await settle(waiting, () => "invalid");
        else for (const one of waiting) await sendSome([one]);
    } finally {
        for (const [, receipt] of waiting) underWay.delete(name(receipt));
        emit("receipts");
        emitToAll("messages", waiting.map(([, receipt]) => receipt.message_id));
    }
}

/**
 * Takes away what the server has answered.
 * @param {Waiting} waiting
 * @param {(receipt: QueuedReceipt, place: number) => OwnReceipt["refused"] | null} why it did not take it
 */
async function settle(waiting, why) {
    const stored_at = new Date().toISOString();
    await change(async (kept) => {
        for (const [place, [key, receipt]] of waiting.entries()) {
            kept.remove("receipts", key);
            const { message_id, kind } = receipt;
            /** @type {Message | undefined} */
            const message = await kept.get("messages", message_id);
            const own = message?.receipts[kind];
            if (!message || !own) continue;
            const refused = why(receipt, place);
            const known = refused ? { ...own, refused } : { ...own, stored_at };
            kept.put("messages", { ...message, receipts: { ...message.receipts, [kind]: known } });
        }
    });
}

/**
 * How far a receipt has come.
 * @param {Message} message
 * @param {ReceiptKind} kind
 * @returns {"none" | "kept" | "sent" | "stored" | "refused"}
 */
export function stateOf(message, kind) {
    const receipt = message.receipts[kind];
    if (!receipt) return "none";
    if (receipt.stored_at) return "stored";
    if (receipt.refused) return "refused";
    return underWay.has(name({ message_id: message.id, kind, at: "" })) ? "sent" : "kept";
}
