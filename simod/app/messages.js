/** The stored messages: each once, however often and by whichever channel it arrives. */
import { Problem, call } from "./api.js";
import { isOver, serverNow } from "./clock.js";
import { change, read, writeWhilePaired } from "./db.js";
import { emitToAll } from "./events.js";

/** Rows on a page of the server's list. */
const PAGE = 200;
/** Rows on the first page when catching up: each push does that, and mostly nothing was missed. */
const FIRST_PAGE = 30;

/** Milliseconds: no message that the server accepts lives longer. */
const LONGEST_TTL = 28 * 86_400_000;

/** Milliseconds: the life of a message that names no end. */
const DAY = 86_400_000;

/** Milliseconds before the last complete point that are read again. */
const OVERLAP = 900_000;

/** @typedef {SentMessage & {partial?: boolean, head?: boolean}} Sent */

/** @type {DeliveryState[]} */
const ORDER = ["failed", "expired", "queued", "sent", "delivered", "read", "acknowledged"];

/**
 * @param {DeliveryState} one
 * @param {DeliveryState} [other]
 */
function later(one, other) {
    return other && ORDER.indexOf(other) > ORDER.indexOf(one) ? other : one;
}

/** @param {Message} message */
export function isRead(message) {
    return Boolean(message.receipts.read || message.receipts.acknowledged)
        || message.state === "read" || message.state === "acknowledged";
}

/** @param {Message} message */
export function isUnread(message) {
    return !message.old && !isRead(message);
}

/** @param {Message} message */
export function isAcknowledged(message) {
    const own = message.receipts.acknowledged;
    return Boolean(own && own.refused !== "invalid") || message.state === "acknowledged";
}

/**
 * Whether its time ran out before this person acknowledged it. Messages that had expired when they arrived do not count.
 * @param {Message} message
 */
export function isMissed(message) {
    return message.require_ack && !isAcknowledged(message) && !message.old && isOver(message);
}

/**
 * Whether it still waits for its acknowledgement.
 * @param {Message} message
 */
export function isOpen(message) {
    return message.require_ack && !isAcknowledged(message) && !message.old && !isOver(message);
}

/**
 * A received message with defaults for all fields that we rely on; null if it has no id.
 * @param {any} sent
 * @returns {Sent | null}
 */
export function sound(sent) {
    if (typeof sent?.id !== "string" || !sent.id) return null;
    const at = (/** @type {any} */ text, later = 0) => (Date.parse(text) ? text : new Date(serverNow() + later).toISOString());
    return {
        acs: "", state: "sent", ...sent, title: String(sent.title ?? ""), body: String(sent.body ?? ""),
        priority: ["low", "high", "critical"].includes(sent.priority) ? sent.priority : "normal",
        accepted_at: at(sent.accepted_at), expires_at: at(sent.expires_at, DAY),
    };
}

/** The pairing that the stored messages belong to: its id. @returns {Promise<string | undefined>} */
export async function owner() {
    return (await read("device"))?.id;
}

/**
 * Stores received messages, together with their receipts for delivery, in one step.
 * @param {Sent[] | null} came
 * @param {string | undefined} whose the pairing that they were sent to: another person's may have replaced it by now
 * @returns {Promise<Message[]>} the new ones
 */
export async function keep(came, whose) {
    const items = (came ?? []).map(sound).filter((sent) => sent !== null);
    const fresh = await change(async (kept) => {
        /** @type {Message[]} */
        const fresh = [];
        if (!whose || (await kept.get("facts", "device"))?.id !== whose) return fresh;
        for (const sent of items) {
            /** @type {Message | undefined} */
            const known = await kept.get("messages", sent.id);
            const message = merged(known, sent);
            if (!known) fresh.push(message);
            // The head alone does not count as delivered.
            if (!message.head && !message.old && !message.receipts.delivered) {
                const at = new Date().toISOString();
                message.receipts.delivered = { at };
                kept.put("receipts", { message_id: message.id, kind: "delivered", at });
            }
            kept.put("messages", message);
        }
        return fresh;
    });
    if (items.length) emitToAll("messages", items.map((message) => message.id));
    return fresh;
}

/**
 * @param {Message | undefined} known
 * @param {Sent} sent
 * @returns {Message}
 */
function merged(known, sent) {
    // A push only comes while its message is current.
    if (!known) return { ...sent, old: !sent.partial && isOver(sent) && sent.state !== "queued", receipts: {} };
    const text = sent.partial && !known.partial ? known : sent;
    return {
        ...text,
        partial: sent.partial && known.partial,
        head: sent.head && known.head,
        old: known.old,
        state: later(sent.state, known.state),
        receipts: known.receipts,
    };
}

/**
 * Changed states of the person's deliveries, from any of their phones.
 * @param {{id: string, state: DeliveryState}[]} said
 */
export async function moved(said) {
    await change(async (kept) => {
        for (const { id, state } of said) {
            /** @type {Message | undefined} */
            const message = await kept.get("messages", id);
            if (message) kept.put("messages", { ...message, state: later(state, message.state) });
        }
    });
    emitToAll("messages", said.map(({ id }) => id));
}

/**
 * All stored messages, the newest first.
 * @returns {Promise<Message[]>}
 */
export async function all() {
    /** @type {Message[]} */
    const messages = await change((kept) => kept.all("messages"));
    return messages.sort(newestFirst);
}

/**
 * @param {Message} one
 * @param {Message} other
 */
export function newestFirst(one, other) {
    return one.accepted_at + one.id < other.accepted_at + other.id ? 1 : -1;
}

/**
 * @param {string} id
 * @returns {Promise<Message | undefined>}
 */
export function one(id) {
    return change((kept) => kept.get("messages", id));
}

/**
 * A message with its whole text, fetched from the server if only its head is here.
 * @param {string} id
 * @returns {Promise<Message | undefined>}
 */
export async function whole(id) {
    const known = await one(id);
    if (known && !known.partial) return known;
    const whose = await owner();
    try {
        await keep([await call("GET", `/device/messages/${encodeURIComponent(id)}`)], whose);
    } catch (error) {
        // Its push was meant for the person who had this browser before.
        if (error instanceof Problem && error.status === 404) await drop(id);
        else if (!known) throw error;
    }
    return one(id);
}

/** @param {string} id */
async function drop(id) {
    await change(async (kept) => kept.remove("messages", id));
    emitToAll("messages", null);
}

/** @type {Promise<Message[]> | undefined} */
let catching;

/**
 * Fetches missed messages: the server's list is authoritative. Concurrent calls share one run.
 * @returns {Promise<Message[]>} the new messages
 */
export function catchUp() {
    catching ??= pages().finally(() => (catching = undefined));
    return catching;
}

/**
 * Reads back to where the list was last complete. A known message does not end it: the stream brings the newest, the
 * person's scrolling loads some pages, and a page may fail.
 */
async function pages() {
    /** @type {Message[]} */
    const fresh = [];
    const id = await owner();
    const complete = await read("complete");
    const until = complete?.id === id ? complete.at : serverNow() - LONGEST_TTL;
    let newest = until;
    let again = 0;
    let cursor = "";
    do {
        const page = await call("GET", `/device/messages?limit=${cursor ? PAGE : FIRST_PAGE}${cursor}`);
        // The phone was paired with another person, or unpaired.
        if ((await owner()) !== id) return fresh;
        fresh.push(...await keep(page.items, id));
        /** @type {number[]} */
        const times = (page.items ?? []).map((/** @type {any} */ message) => Date.parse(message?.accepted_at) || until);
        newest = Math.max(newest, ...times);
        again += times.filter((at) => at <= until).length;
        // A message to very many people may appear below newer ones.
        const isDone = again >= PAGE || (times.at(-1) ?? 0) < until - OVERLAP;
        cursor = page.next && !isDone ? `&cursor=${encodeURIComponent(page.next)}` : "";
    } while (cursor);
    await writeWhilePaired("complete", { id, at: newest });
    return fresh;
}

/** The cursor of the next page of `older`; `undefined`: none was fetched yet, null: there is none. @type {string | null | undefined} */
let before;

/**
 * Fetches one more page of earlier messages.
 * @returns {Promise<boolean>} whether there may be more
 */
export async function older() {
    if (before === null) return false;
    const cursor = before ? `&cursor=${encodeURIComponent(before)}` : "";
    const whose = await owner();
    const page = await call("GET", `/device/messages?limit=${PAGE}${cursor}`);
    await keep(page.items, whose);
    before = page.next ?? null;
    return before !== null;
}

/**
 * The person's own messages that the server finds, by words or in the query language.
 * @param {string} query
 * @returns {Promise<Message[]>}
 */
export async function search(query) {
    const whose = await owner();
    const page = await call("GET", `/device/messages?limit=${PAGE}&query=${encodeURIComponent(query)}`);
    await keep(page.items, whose);
    const found = (page.items ?? []).map((/** @type {SentMessage} */ message) => one(message.id));
    return (await Promise.all(found)).filter((message) => message !== undefined);
}
