/** Pairs and unpairs this phone, and the person's other phones. */
import { Problem, call } from "./api.js";
import { erase, read, write } from "./db.js";
import { emitToAll } from "./events.js";
import { forget, quiet } from "./forget.js";
import { platform } from "./platform.js";
import { sendAll } from "./receipts.js";
import { within } from "./subscribe.js";

/** Milliseconds before each retry of a pairing without an answer. */
const AGAIN = [1000, 3000];
/** Milliseconds for an answer: codes may have to wait for their lookup. */
const PAIRED_WITHIN = 15_000;

/** Milliseconds for each step of leaving the previous pairing. */
const LEFT_WITHIN = 4000;

/** @returns {Promise<Device | undefined>} */
export function device() {
    return read("device");
}

/**
 * The person that a code belongs to; asking does not use it up.
 * @param {string} code
 * @returns {Promise<{client: string, first_name: string}>}
 */
export function preview(code) {
    return call("POST", "/device/pair/preview", { body: { code }, within: PAIRED_WITHIN });
}

/**
 * The code of a pairing that the person has confirmed, but whose answer was lost.
 * @returns {Promise<string | undefined>}
 */
export async function begun() {
    return (await read("pairing"))?.code;
}

/** The person gave up the pairing in progress. */
export async function abandon() {
    await write("pairing", undefined);
}

/** A key of our own, with which a lost answer can be fetched again. */
function ownKey() {
    const random = crypto.getRandomValues(new Uint8Array(24));
    return btoa(String.fromCharCode(...random)).replaceAll("+", "-").replaceAll("/", "_");
}

/**
 * Pairs this phone, unless the person leaves meanwhile: then it throws a `Problem` with the code `left`. If the answer is lost, the same code and key fetch it again, even after the page was closed.
 * @param {{code: string, name: string}} asked
 * @returns {Promise<Device>}
 */
export async function pair({ code, name }) {
    const known = await read("pairing");
    const key = known?.code === code ? known.key : ownKey();
    await write("pairing", { code, key });
    const body = { code, key, channel: { kind: "stream" }, name, platform: platform() };
    const isWanted = async () => (await read("pairing"))?.key === key;
    const attempt = async () => {
        if (!(await isWanted())) throw new Problem("left", "");
        return call("POST", "/device/pair", { body, within: PAIRED_WITHIN });
    };
    const answer = await withRepeats(attempt).catch(async (error) => {
        if (error.code === "wrong_code") await write("pairing", undefined);
        throw error;
    });
    if (!(await isWanted())) {
        await call("DELETE", "/device", { as: answer.token, within: LEFT_WITHIN }).catch(() => null);
        throw new Problem("left", "");
    }
    /** @type {Device} */
    const paired = { token: answer.token, id: answer.device_id, name, platform: body.platform, employee: answer.employee };
    await replace(paired);
    // Ask the browser not to delete our data when the disk fills up. In Firefox this asks the person, who may never answer.
    void navigator.storage?.persist?.().catch(() => false);
    return paired;
}

/**
 * At every moment either pairing is stored, or the key that fetches the new one again.
 * @param {Device} next
 */
async function replace(next) {
    const old = await device();
    if (old) {
        await within(sendAll(), LEFT_WITHIN).catch(() => null);
        // Before another person gets this browser: pushes to the previous one must not reach them.
        await within(quiet(), LEFT_WITHIN).catch(() => null);
    }
    await erase({ next });
    emitToAll("paired");
    if (old) await call("DELETE", "/device", { as: old.token, within: LEFT_WITHIN }).catch(() => null);
}

/**
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
async function withRepeats(attempt) {
    for (const pause of AGAIN) {
        try {
            return await attempt();
        } catch (error) {
            if (!(error instanceof Problem) || error.code === "left" || (error.status > 0 && error.status < 500)) throw error;
            await new Promise((resolve) => setTimeout(resolve, pause));
        }
    }
    return attempt();
}

/** Unpairs this phone, once its receipts are sent. */
export async function leave() {
    await sendAll();
    await call("DELETE", "/device").catch((error) => {
        if (error.code !== "unauthenticated") throw error;
    });
    await forget("left");
}

/** @returns {Promise<PersonsDevice[]>} */
export async function devices() {
    return (await call("GET", "/device/devices")).items;
}

/** @param {string} id another phone of this person */
export function unpair(id) {
    return call("DELETE", `/device/devices/${encodeURIComponent(id)}`);
}

/** @returns {Promise<{message_id: string, sent_at: string}>} */
export function trial() {
    return call("POST", "/device/test");
}
