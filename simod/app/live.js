/** The stream of an open page: messages and states, as they happen. */
import { Problem, apiUrl, headers, problem } from "./api.js";
import { noteClock, serverNow } from "./clock.js";
import { read } from "./db.js";
import { PLACE, emitToAll, on } from "./events.js";
import { forget } from "./forget.js";
import { catchUp, isUnread, keep, moved } from "./messages.js";
import { sendAll } from "./receipts.js";
import { closeNotifications } from "./registration.js";
import { closeRead } from "./shown.js";
import { events } from "./sse.js";

/** Milliseconds; the protocol's values. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
/** On a wall, which nobody touches. */
const LONGEST_AT_WALL = 10_000;
/** The first failure after a connection that lasted this long counts as the first in a row. */
const LASTED = 30_000;
/** After a connection that opened, at most this many failures in a row count. */
const MOST_OPENED = 3;
const SILENT_FOR = 45_000;
const REPLACED_LONGEST = 300_000;
const HELD = 600_000;
const BLOCKED_FOR = 40_000;
const FETCHED_AGAIN_AFTER = 10_000;
/** The most messages stored in one step. */
const AT_ONCE = 200;
/** Milliseconds between reports from the window with the stream to the browser's others. */
const TOLD_EVERY = 10_000;

/** @typedef {"on" | "connecting" | "off" | "replaced" | "blocked"} Connection */

/** @type {Connection} */
let state = "off";
/** Ends what `start` began. @type {AbortController | null} */
let run = null;
/** Whether this window holds the stream, where windows share one. */
let holds = false;
/** When the window with the stream was last heard, and whether to take the stream from it. */
let heard = 0;
let taking = false;
/** Ends the pause between two connections. */
let hurry = () => {};

export function connection() {
    return state;
}

/** @param {Connection} now */
function become(now) {
    if (state === now) return;
    state = now;
    tell();
}

/** Reports the connection's state to this window and those that share the stream. */
function tell() {
    emitToAll("connection", state);
}

/** Holds the stream, or waits for another window to release it, until stopped or unpaired. */
export async function start() {
    if (run) return;
    const { signal } = (run = new AbortController());
    while (!signal.aborted && (await read("device"))) await (navigator.locks ? inTurn(signal) : connections(signal));
}

export function stop() {
    run?.abort();
    run = null;
    become("off");
}

/**
 * One window of a browser holds the stream for all, because each connection of a phone ends its previous one.
 * @param {AbortSignal} stopped
 */
async function inTurn(stopped) {
    const mine = new AbortController();
    const end = () => mine.abort();
    stopped.addEventListener("abort", end);
    const asked = taking ? { steal: true } : { signal: mine.signal };
    heard = Date.now();
    const waiting = setInterval(() => {
        // The system may have frozen the window with the stream.
        taking = !holds && document.visibilityState === "visible" && Date.now() - heard > SILENT_FOR;
        if (taking) end();
        if (holds) tell();
    }, TOLD_EVERY);
    emitToAll("hurry");
    const held = navigator.locks.request(PLACE, asked, async () => {
        taking = false;
        holds = true;
        await connections(mine.signal);
    });
    await held.catch(() => new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE)));
    holds = false;
    end();
    clearInterval(waiting);
    stopped.removeEventListener("abort", end);
}

/** @param {AbortSignal} stopped */
async function connections(stopped) {
    let failures = 0;
    let since = 0;
    const longer = () => {
        // A proxy may end every connection after a while even though the server is up.
        if (state === "on") failures = Date.now() - since > LASTED ? 0 : Math.min(failures, MOST_OPENED);
        return Math.min(FIRST_PAUSE * 2 ** failures++, location.hash === "#wall" ? LONGEST_AT_WALL : LONGEST_PAUSE);
    };
    let replacements = 0;
    while (!stopped.aborted && (await read("device"))) {
        if (state !== "blocked") become("connecting");
        since = Date.now();
        /** @type {Connection} */
        let now = "off";
        let pause = 0;
        try {
            const replaced = await hold(stopped, () => (failures = 0));
            if (Date.now() - since > HELD) replacements = 0;
            if (replaced) now = "replaced";
            pause = replaced ? Math.min(FIRST_PAUSE * 2 ** replacements++, REPLACED_LONGEST) : longer();
        } catch (error) {
            if (error instanceof Problem && error.code === "blocked") now = "blocked";
            const asked = error instanceof Problem ? error.retryAfter * 1000 : 0;
            pause = now === "blocked" ? BLOCKED_FOR : Math.max(asked, longer());
        }
        if (stopped.aborted) return;
        become(now);
        await new Promise((resolve) => {
            hurry = () => resolve(null);
            stopped.addEventListener("abort", hurry);
            setTimeout(resolve, pause * (1 + Math.random() / 2));
        });
    }
}

/**
 * One connection.
 * @param {AbortSignal} stopped
 * @param {() => void} arrived
 * @returns {Promise<boolean>} whether another connection of this phone has replaced it
 */
async function hold(stopped, arrived) {
    const { id: whose, token } = (await read("device")) ?? {};
    const aborted = new AbortController();
    const end = () => aborted.abort();
    stopped.addEventListener("abort", end);
    /** @type {SentMessage[]} */
    const messages = [];
    /** @type {{id: string, state: DeliveryState}[]} */
    const states = [];
    let busy = false;
    const work = async () => {
        busy = true;
        while (messages.length + states.length && !aborted.signal.aborted) {
            // The newest first: an alarm must not wait behind the thousands that piled up while the phone was away.
            if (messages.length) await received(messages.splice(-AT_ONCE), whose);
            else await elsewhere(states.splice(0));
        }
        busy = false;
    };
    let timer = 0;
    const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(end, SILENT_FOR);
    };
    try {
        alive();
        const response = await fetch(apiUrl("/device/stream"), {
            headers: { ...headers(token), Accept: "text/event-stream" },
            signal: aborted.signal,
            cache: "no-store",
            credentials: "omit",
        });
        // A proxy may answer 200 with a page of its own.
        const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
        if (!response.ok || !response.body || !isStream) {
            const refused = problem(response, await response.text());
            if (refused.code === "unauthenticated") await forget("dead", token);
            throw refused;
        }
        noteClock(response);
        become("on");
        // Receipts that wait are sent at once; later those of missed messages.
        sendAll().catch(() => null);
        void complete(aborted.signal, serverNow());
        for await (const { event, data } of events(response.body, alive)) {
            if (event === "replaced") return true;
            if (event === "message") {
                arrived();
                messages.push(JSON.parse(data));
            } else if (event === "state") {
                states.push(JSON.parse(data));
            }
            // Events that arrive while we store are stored together in the next step.
            if (!busy) void work().catch(end);
        }
        return false;
    } finally {
        clearTimeout(timer);
        stopped.removeEventListener("abort", end);
        end();
    }
}

/**
 * Fetches missed messages, until that succeeds or the connection ends.
 * @param {AbortSignal} ended
 * @param {number} opened when the connection was, by the server's time
 */
async function complete(ended, opened) {
    while (!ended.aborted) {
        try {
            const isFirst = !(await read("complete"));
            // On a phone that was paired just now, only what has been accepted since is news.
            const fresh = (await catchUp()).filter((message) =>
                isUnread(message) && (!isFirst || Date.parse(message.accepted_at) > opened));
            if (fresh.length) emitToAll("arrived", fresh);
            await closeRead();
            return await sendAll();
        } catch {
            await new Promise((resolve) => setTimeout(resolve, FETCHED_AGAIN_AFTER));
        }
    }
}

/** @param {SentMessage[]} messages @param {string | undefined} whose */
async function received(messages, whose) {
    const fresh = await keep(messages, whose);
    if (fresh.length) emitToAll("arrived", fresh);
    // The next alarm must not wait until the server has this one's receipt.
    sendAll().catch(() => null);
}

/** @param {{id: string, state: DeliveryState}[]} said */
async function elsewhere(said) {
    await moved(said);
    for (const { id, state } of said) {
        if (state === "read" || state === "acknowledged") void closeNotifications(id);
    }
}

addEventListener("online", () => emitToAll("hurry"));
addEventListener("visibilitychange", () => document.visibilityState === "visible" && emitToAll("hurry"));
on("hurry", () => {
    hurry();
    if (holds) tell();
});
on("connection", (now, isElsewhere) => {
    if (!isElsewhere || !navigator.locks || holds) return;
    heard = Date.now();
    state = now;
});
on("gone", stop);
on("paired", stop);
