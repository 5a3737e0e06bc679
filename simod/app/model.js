/** The messages for the views: all stored ones, in memory, the newest first. */
import { change } from "./db.js";
import { emit, on } from "./events.js";
import { all, isUnread, newestFirst } from "./messages.js";

/** More changes than this are not read one by one. */
const ONE_BY_ONE = 500;

/** @type {Map<string, Message>} */
let known = new Map();
/** @type {Message[]} */
let sorted = [];

/** @returns {readonly Message[]} */
export function messages() {
    return sorted;
}

/** Reads all stored messages. */
export async function load() {
    sorted = await all();
    known = new Map(sorted.map((message) => [message.id, message]));
    settle([]);
}

/** @param {string[] | null} ids */
async function update(ids) {
    if (!ids || ids.length > ONE_BY_ONE) return load();
    /** @type {(Message | undefined)[]} */
    const changed = await change((kept) => Promise.all(ids.map((id) => kept.get("messages", id))));
    const newest = sorted[0]?.accepted_at ?? "";
    /** @type {Message[]} */
    const fresh = [];
    let moved = false;
    for (const message of changed) {
        if (!message) continue;
        const before = known.get(message.id);
        if (before) sorted[sorted.indexOf(before)] = message;
        else sorted.push(message);
        moved ||= !before;
        known.set(message.id, message);
        if (!before && isUnread(message) && message.accepted_at > newest) fresh.push(message);
    }
    if (moved) sorted.sort(newestFirst);
    settle(fresh);
}

/** @param {Message[]} fresh */
function settle(fresh) {
    navigator.setAppBadge?.(sorted.filter(isUnread).length).catch(() => null);
    emit("model", fresh);
}

/** Ids that changed while earlier changes were being read. @type {Set<string> | "all"} */
let waiting = new Set();
let busy = false;

/** @param {string[] | null} ids */
async function changed(ids) {
    if (waiting !== "all") {
        if (ids) for (const id of ids) waiting.add(id);
        else waiting = "all";
    }
    if (busy) return;
    busy = true;
    try {
        while (waiting === "all" || waiting.size) {
            const now = waiting === "all" ? null : [...waiting];
            waiting = new Set();
            await update(now);
        }
    } finally {
        busy = false;
    }
}

on("messages", changed);
on("gone", () => changed(null));
// Another window or the worker may have changed messages meanwhile.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && changed(null));
