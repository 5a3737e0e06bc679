/**
 * The phone's storage: facts by name, messages by id, and receipts in order until the server has them. Page and worker
 * share one IndexedDB. If the browser refuses it (private mode, a full disk), everything lives in memory until the page
 * closes.
 */
import { PLACE } from "./events.js";

const STORES = ["facts", "messages", "receipts"];

/**
 * Milliseconds that the browser may take to open the database: a push must not wait for one that hangs, but a page that
 * gave up too soon would take a paired phone for a new one.
 */
const OPENED_WITHIN = "document" in globalThis ? 10_000 : 1500;

/** @type {Promise<IDBDatabase | null> | undefined} */
let database;
let lasting = true;
/** After storing failed: loads the stored data into memory. @type {Promise<void> | undefined} */
let memoryFilled;

/** @type {Record<string, Map<IDBValidKey, any>>} */
const memory = { facts: new Map(), messages: new Map(), receipts: new Map() };
let numbered = 0;

/** Whether stored data outlives the page. */
export function isLasting() {
    return lasting;
}

/** @returns {Promise<IDBDatabase | null>} */
function opened() {
    database ??= new Promise((resolve) => {
        const none = () => {
            lasting = false;
            resolve(null);
        };
        const timer = setTimeout(none, OPENED_WITHIN);
        try {
            const request = indexedDB.open(PLACE, 1);
            // Later versions only add stores, so a page of the previous release still works.
            request.onupgradeneeded = () => {
                request.result.createObjectStore("facts");
                request.result.createObjectStore("messages", { keyPath: "id" });
                request.result.createObjectStore("receipts", { autoIncrement: true });
            };
            request.onsuccess = () => {
                clearTimeout(timer);
                request.result.onversionchange = () => request.result.close();
                request.result.onclose = () => (database = undefined);
                resolve(request.result);
            };
            request.onerror = none;
        } catch {
            none();
        }
    });
    return database;
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function answered(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}

/**
 * Changes stored data, all or nothing. `work` may await only its changes: a transaction without requests commits itself.
 * @template T
 * @param {(changes: Changes) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function change(work) {
    const db = lasting && (await opened());
    if (!db) {
        await memoryFilled;
        return work(inMemory);
    }
    try {
        return await inOneStep(db, work);
    } catch (error) {
        // An error of ours is not a full disk.
        if (!(error instanceof DOMException)) throw error;
        // The disk is full. Earlier data stay stored there; new data live only as long as the page.
        lasting = false;
        await (memoryFilled ??= intoMemory(db).catch(() => {}));
        return work(inMemory);
    }
}

/**
 * @template T
 * @param {IDBDatabase} db
 * @param {(changes: Changes) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function inOneStep(db, work) {
    const tx = db.transaction(STORES, "readwrite");
    const done = new Promise((resolve, reject) => {
        tx.oncomplete = () => resolve(null);
        tx.onabort = () => reject(tx.error);
    });
    try {
        const [result] = await Promise.all([work(inTransaction(tx)), done]);
        return result;
    } catch (error) {
        // All or nothing. After a DOMException the transaction may be over already.
        if (!(error instanceof DOMException)) tx.abort();
        throw error;
    }
}

/** @param {IDBDatabase} db */
async function intoMemory(db) {
    const kept = inTransaction(db.transaction(STORES, "readonly"));
    for (const store of STORES) {
        for (const [key, value] of await kept.entries(store)) memory[store].set(key, value);
    }
    numbered = Math.max(0, ...[...memory.receipts.keys()].map(Number));
}

/**
 * @param {IDBTransaction} tx
 * @returns {Changes}
 */
function inTransaction(tx) {
    return {
        get: (store, key) => answered(tx.objectStore(store).get(key)),
        all: (store) => answered(tx.objectStore(store).getAll()),
        entries: async (store, most) => {
            const [keys, values] = await Promise.all([
                answered(tx.objectStore(store).getAllKeys(null, most)),
                answered(tx.objectStore(store).getAll(null, most)),
            ]);
            return keys.map((key, place) => [key, values[place]]);
        },
        put: (store, value, key) => void tx.objectStore(store).put(value, key),
        remove: (store, key) => void tx.objectStore(store).delete(key),
        clear: (store) => void tx.objectStore(store).clear(),
    };
}

/** @type {Changes} */
const inMemory = {
    get: async (store, key) => memory[store].get(key),
    all: async (store) => [...memory[store].values()],
    entries: async (store, most) => [...memory[store].entries()].slice(0, most),
    put: (store, value, key) => void memory[store].set(key ?? value.id ?? ++numbered, value),
    remove: (store, key) => void memory[store].delete(key),
    clear: (store) => memory[store].clear(),
};

/** @param {string} name */
export function read(name) {
    return change((kept) => kept.get("facts", name));
}

/**
 * @param {string} name
 * @param {any} value `undefined` deletes it
 */
export function write(name, value) {
    return change(async (kept) => (value === undefined ? kept.remove("facts", name) : kept.put("facts", value, name)));
}

/**
 * The same, but only while the phone is paired, so that late writes leave nothing behind.
 * @param {string} name
 * @param {any} value
 */
export function writeWhilePaired(name, value) {
    return change(async (kept) => {
        if (await kept.get("facts", "device")) kept.put("facts", value, name);
    });
}

/**
 * Deletes everything except the language and a pairing in progress.
 * @param {{dead?: string, next?: Device}} [more] `dead`: only if the pairing is the one of this token; `next`: the one that takes
 * its place, in the same step
 * @returns {Promise<boolean>} whether that was done
 */
export async function erase({ dead, next } = {}) {
    /** @param {Changes} kept */
    const work = async (kept) => {
        const [device, chosen, begun] = await Promise.all(["device", "lang", "pairing"].map((name) => kept.get("facts", name)));
        if (dead && device?.token !== dead) return false;
        for (const store of STORES) kept.clear(store);
        if (chosen) kept.put("facts", chosen, "lang");
        if (next) kept.put("facts", next, "device");
        else if (begun) kept.put("facts", begun, "pairing");
        return true;
    };
    const isDone = await change(work);
    // Data from before the disk was full are still stored; a full disk cannot store the language, but can delete.
    const db = isDone && !lasting && (await opened());
    if (db) await inOneStep(db, async (kept) => STORES.forEach(kept.clear)).catch(() => null);
    return isDone;
}
