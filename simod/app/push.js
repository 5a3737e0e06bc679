/** Whether this phone rings: the worker, the permission, the subscription. */
import { Problem, call } from "./api.js";
import { read } from "./db.js";
import { emit, on } from "./events.js";
import { registration } from "./registration.js";
import { isInstalled, isIos } from "./platform.js";
import { subscribeAndTell, within } from "./subscribe.js";

/** Milliseconds for the worker to become ready. */
const READY_WITHIN = 10_000;

/** The most notifications at once in place of pushes: more would only bury each other. */
const SHOWN_AT_ONCE = 5;

/** Whether no push can arrive: there is no subscription, or the server does not have the current one yet. */
let withoutPush = false;

/** Whether the browser has accepted the worker. If it is gone later, the server has made it remove itself. */
let isRegistered = false;

/** Whether this phone is known not to ring; that it does, only a test can show. */
export function isSilent() {
    return support() !== "ok" || permission() !== "granted" || withoutPush;
}

/** @returns {"ok" | "insecure" | "no-worker" | "install-first" | "no-push"} what is missing */
export function support() {
    if (!isSecureContext) return "insecure";
    if (!("serviceWorker" in navigator)) return "no-worker";
    if (isIos() && !isInstalled()) return "install-first";
    return "PushManager" in window && "Notification" in window ? "ok" : "no-push";
}

/** @returns {NotificationPermission} */
export function permission() {
    return "Notification" in window ? Notification.permission : "denied";
}

/** Registers the worker, which also keeps the app for use without a network. */
export async function startWorker() {
    if (!isSecureContext || !("serviceWorker" in navigator)) return;
    const url = "./sw.js";
    const policy = window.trustedTypes?.createPolicy("app", { createScriptURL: (/** @type {string} */ url) => url });
    navigator.serviceWorker.addEventListener("message", ({ data, ports }) => {
        const isWall = location.hash === "#wall";
        ports[0]?.postMessage(!isWall);
        if (!isWall) emit(data.type, data.detail);
    });
    navigator.serviceWorker.startMessages();
    await navigator.serviceWorker.register(policy?.createScriptURL(url) ?? url, { scope: "./", updateViaCache: "none" });
    isRegistered = true;
}

/** @returns {Promise<ServiceWorkerRegistration>} */
function ready() {
    return within(navigator.serviceWorker.ready, READY_WITHIN);
}

/**
 * Asks the person for permission, and subscribes; browsers require a tap before it.
 * @returns {Promise<"on" | "denied" | "dismissed" | "timeout" | "off" | "refused" | "noWorker" | "workerOff">}
 */
export async function turnOn() {
    const allowed = await Notification.requestPermission();
    if (allowed !== "granted") return allowed === "denied" ? "denied" : "dismissed";
    if (await isWorkerOff()) return "workerOff";
    try {
        const { webpush } = await call("GET", "/device");
        if (!webpush) return "off";
        await subscribeAndTell(await ready(), webpush.key);
        withoutPush = false;
        return "on";
    } catch (error) {
        const why = failure(error);
        if (!why) throw error;
        return (await isWorkerOff()) ? "workerOff" : why;
    }
}

async function isWorkerOff() {
    return isRegistered && !(await registration());
}

/**
 * Why there is no subscription; null: unknown.
 * @param {unknown} error
 */
function failure(error) {
    // In private windows Chromium grants the permission but refuses the subscription.
    if (error instanceof DOMException) return error.name === "NotAllowedError" ? "noWorker" : "timeout";
    if (!(error instanceof Problem)) return null;
    return error.code === "slow" ? "timeout" : error.status === 422 ? "refused" : null;
}

/** Everything that could keep an alarm from ringing on this phone. */
export async function check() {
    const [worker, /** @type {OwnDevice} */ known, lastPush] = await Promise.all([
        registration(), call("GET", "/device"), read("lastPush"),
    ]);
    const subscription = support() === "ok" ? await worker?.pushManager.getSubscription().catch(() => null) : null;
    return {
        permission: permission(),
        subscribed: Boolean(subscription),
        same: Boolean(subscription) && subscription?.endpoint === known.channel.endpoint,
        quarantined: known.channel.quarantined,
        channelOff: known.webpush === null,
        /** @type {{at: string, id: string} | null} */
        lastPush: lastPush ?? null,
    };
}

/** At each start: renews a lost subscription, and tells the server if the permission was revoked. */
export async function atStart() {
    if (support() !== "ok" || !(await read("device"))) return;
    const allowed = permission() === "granted";
    /** @type {OwnDevice} */
    const known = await call("GET", "/device");
    const subscription = await (await registration())?.pushManager.getSubscription().catch(() => null);
    const { kind, endpoint, quarantined } = known.channel;
    withoutPush = !known.webpush || quarantined || !subscription || subscription.endpoint !== endpoint;
    if (allowed && known.webpush) {
        try {
            await subscribeAndTell(await ready(), known.webpush.key);
            withoutPush = false;
        } catch (error) {
            console.warn("push:", error);
            withoutPush ||= failure(error) !== null;
        }
    } else if (!allowed && known.channel.notifications) {
        const keys = await read("keys");
        // Without its keys we cannot name the subscription; it is gone anyway.
        const channel = kind === "webpush" && keys ? { kind, endpoint, keys } : { kind: "stream" };
        await call("PUT", "/device/channel", { body: { ...channel, notifications: false } });
    }
}

/**
 * Shows messages from the stream where no push will arrive: the browser cannot reach its push service, or the server does
 * not have a new subscription yet.
 * @param {Message[]} fresh
 */
async function showWithoutPush(fresh) {
    const worker = await registration();
    if (permission() !== "granted" || !worker?.active) return;
    if (!withoutPush && (await worker.pushManager?.getSubscription())) return;
    for (const message of fresh.slice(0, SHOWN_AT_ONCE)) worker.active.postMessage({ type: "show", detail: message });
}

on("arrived", (fresh, isElsewhere) => isElsewhere || void showWithoutPush(fresh).catch(() => null));
