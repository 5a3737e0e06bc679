/** Subscribes at the browser's push service, and tells the server. */
import { Problem, call } from "./api.js";
import { writeWhilePaired } from "./db.js";
import { say } from "./lang.js";

/** Milliseconds: a browser that cannot reach its push service may never answer. */
const SUBSCRIBED_WITHIN = 15_000;

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @returns {Promise<T>}
 */
export function within(promise, ms) {
    return new Promise((resolve, reject) => {
        const late = new Problem("slow", say({ en: "It takes too long.", ru: "Слишком долго нет ответа." }));
        const timer = setTimeout(() => reject(late), ms);
        promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
}

/** @param {string} text base64url */
function bytes(text) {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

/**
 * Whether a subscription was made with this key of the server: pushes signed with another one are refused.
 * @param {PushSubscription} subscription
 * @param {string} key
 */
function isFor(subscription, key) {
    const own = subscription.options.applicationServerKey;
    return !own || new Uint8Array(own).join() === bytes(key).join();
}

/**
 * Subscribes if needed, and tells the server where to send pushes.
 * @param {ServiceWorkerRegistration} worker
 * @param {string} key
 */
export async function subscribeAndTell(worker, key) {
    const known = await within(worker.pushManager.getSubscription(), SUBSCRIBED_WITHIN);
    if (known && !isFor(known, key)) await known.unsubscribe();
    const asked = { userVisibleOnly: true, applicationServerKey: bytes(key) };
    const subscription = known && isFor(known, key)
        ? known
        : await within(worker.pushManager.subscribe(asked), SUBSCRIBED_WITHIN);
    const { endpoint, keys } = subscription.toJSON();
    const said = { p256dh: keys?.p256dh, auth: keys?.auth };
    await call("PUT", "/device/channel", { body: { kind: "webpush", endpoint, keys: said, notifications: true } });
    // After the permission was revoked the subscription is gone, but `atStart` still has to name it to the server.
    await writeWhilePaired("keys", said);
}
