/** Receipts, kept in order until the server has them. */
import { Problem, call } from "./api.js";
import { change } from "./db.js";
import { emit, emitToAll } from "./events.js";

/** Receipts in one request: the server accepts a thousand, and browsers 64 KiB in a request that outlives its page. */
const AT_ONCE = 200;

/** Milliseconds until a failed request is repeated, unless another one is sent before. */
const SENT_AGAIN_AFTER = 15_000;

/** Being sent now: `message kind`. @type {Set<string>} */
const underWay = new Set();

/** @param {QueuedReceipt} receipt */
function name(receipt) {
    return `${receipt.message_id} ${receipt.kind}`;
}

/**
 * Records a receipt, and sends it.
 * @param {string} id
 * @param {ReceiptKind} kind
 * @param {string} [by] the person, at a shared screen
 * @returns {Promise<Sent>}
 */
export async function report(id, kind, by) {
    await note(id, kind, by);
    return sendAll();
}

/**
 * Records a receipt. Only the first one of a kind counts.
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

/** @typedef {"sent" | "later" | "blocked" | "gone"} Sent the result for all waiting receipts */

/** @type {Promise<Sent> | undefined} */
let sending;
let again = false;
let retryTimer = 0;

/**
 * Sends all waiting receipts, including those recorded meanwhile.
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
        // The server cannot read any of it, and never will; a proxy's answer does not count.
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
 * Removes the receipts that the server has answered.
 * @param {Waiting} waiting
 * @param {(receipt: QueuedReceipt, place: number) => OwnReceipt["refused"] | null} why the server refused it
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
 * The progress of a receipt.
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
