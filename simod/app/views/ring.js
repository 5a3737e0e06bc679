/** Will it ring? Checks everything between an alarm and this phone, and tests the whole way. */
import { Problem } from "../api.js";
import { button, el, put } from "../dom.js";
import { trial } from "../device.js";
import { on } from "../events.js";
import { check, permission } from "../push.js";
import { texts, wordsOf } from "../texts.js";
import { momentOf } from "../times.js";
import { advice } from "./advice.js";
import { lacking, notify } from "./notify.js";

/** Milliseconds until a test counts as late. */
const LATE = 60_000;

/** @returns {Promise<View>} */
export async function ringView() {
    const t = texts();
    const checks = el("div", { "aria-live": "polite" });
    const tested = el("div", { "aria-live": "polite" });
    /** Pushes that arrived while this view is open, by the message's id. @type {Map<string, number>} */
    const came = new Map();
    /** Messages that arrived by the stream. @type {Set<string>} */
    const streamed = new Set();
    let wake = () => {};

    /** Whether a push can arrive at all. */
    let canCome = true;

    const draw = async () => {
        put(checks, el("p", {}, t.checking));
        if (lacking()) return put(checks, line(false, lacking()));
        try {
            const state = await check();
            canCome = isGood(state);
            put(checks, ...found(state, draw));
        } catch (error) {
            put(checks, permissionLine(), line(false, wordsOf(error)), button(t.again, draw));
        }
    };

    const test = async () => {
        const begun = Date.now();
        put(tested, el("p", {}, t.testWaiting));
        try {
            const { message_id } = await trial();
            while (!came.has(message_id) && Date.now() - begun < LATE) {
                if (streamed.has(message_id)) {
                    if (!canCome) return put(tested, line(false, t.testSilent));
                    put(tested, el("p", {}, t.testStream));
                }
                await new Promise((resolve) => {
                    wake = () => resolve(null);
                    setTimeout(resolve, 1000);
                });
            }
            const at = came.get(message_id);
            if (at === undefined) return put(tested, line(false, t.testLate));
            const seconds = Math.max(0, at - begun) / 1000;
            const text = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(seconds);
            put(tested, line(true, t.testCame(text)), el("p", { class: "help" }, t.testHeard));
            await draw();
        } catch (error) {
            const isTooSoon = error instanceof Problem && error.status === 429;
            put(tested, line(false, isTooSoon ? t.testSoon(error.retryAfter || 30) : wordsOf(error)));
        }
    };

    const ends = [
        on("push", ({ id, at }) => {
            came.set(id, at);
            wake();
        }),
        on("arrived", (/** @type {Message[]} */ messages) => {
            for (const { id } of messages) streamed.add(id);
            wake();
        }),
    ];
    void draw();
    return {
        title: t.ring,
        node: el("article", { class: "page" },
            el("h1", { tabindex: "-1" }, t.ring),
            checks,
            lacking() ? null : [el("h2", {}, t.test), el("p", {}, t.testLead), button(t.test, test, { class: "big" }), tested],
            el("h2", {}, t.advice), el("ul", {}, advice().map((text) => el("li", {}, text)))),
        end: () => ends.forEach((end) => end()),
    };
}

/** @param {Awaited<ReturnType<typeof check>>} state */
function isGood({ permission, same, quarantined }) {
    return permission === "granted" && same && !quarantined;
}

/**
 * @param {Awaited<ReturnType<typeof check>>} state
 * @param {() => void} again
 */
function found(state, again) {
    const t = texts();
    return [
        permissionLine(),
        state.channelOff ? line(false, t.off)
            : state.quarantined ? line(false, t.quarantined)
            : state.same ? line(true, t.subscriptionOk)
            : line(false, state.subscribed ? t.subscriptionOther : t.subscriptionNone),
        line(state.lastPush ? true : null, state.lastPush ? t.lastPush(momentOf(state.lastPush.at)) : t.lastPushNone),
        !isGood(state) && !state.channelOff && notify((on) => on && again()),
    ];
}

function permissionLine() {
    const t = texts();
    const allowed = permission();
    return line(allowed === "granted", { granted: t.permissionOk, denied: t.denied, default: t.permissionAsk }[allowed]);
}

/**
 * @param {boolean | null} good null: neither
 * @param {string} text
 */
function line(good, text) {
    const sign = good === null ? "·" : good ? "✓" : "!";
    return el("p", { class: good === null ? "check" : good ? "check good" : "check error" },
        el("span", { class: "sign", "aria-hidden": "true" }, sign), text);
}
