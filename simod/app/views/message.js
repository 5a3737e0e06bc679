/** One message with everything known about it. */
import { Problem } from "../api.js";
import { toList } from "../back.js";
import { isOver } from "../clock.js";
import { read } from "../db.js";
import { button, el, fact, put } from "../dom.js";
import { on } from "../events.js";
import { isAcknowledged, isOpen, isRead, one, whole } from "../messages.js";
import { report } from "../receipts.js";
import { closeNotifications } from "../registration.js";
import { texts } from "../texts.js";
import { fullTimeOf } from "../times.js";
import { linked } from "./links.js";
import { sender } from "./row.js";
import { states } from "./states.js";
import { table } from "./table.js";
import { askWho } from "./who.js";

/**
 * @param {string} id
 * @param {boolean} asked whether the person opened it to acknowledge
 * @returns {Promise<View>}
 */
export async function messageView(id, asked) {
    const t = texts();
    const text = el("div");
    const act = el("div", { class: "act" });
    const known = el("div", {});
    const node = el("article", { class: "page message" }, back(), text, act, known);
    /** @type {Message | undefined} */
    let message = await one(id);
    let failed = "";
    let said = "";
    let drawn = "";
    let isShown = false;

    const drawText = () => {
        const key = JSON.stringify([message?.title, message?.body, message?.data, message?.partial, failed]);
        // Redrawing would lose the reader's place and selection.
        if (key === drawn) return;
        drawn = key;
        put(text, message ? content(message) : el("h1", { tabindex: "-1" }, t.noSuch), failed && el("p", { class: "error" }, failed));
    };
    const draw = () => {
        drawText();
        const open = message && isOpen(message);
        const had = act.contains(document.activeElement);
        put(act,
            open && asked && el("p", { class: "ask" }, t.ackAsked),
            open && button(t.acknowledge, acknowledge, { class: "big" }),
            message?.require_ack && !open && !isAcknowledged(message) && isOver(message) && el("p", {}, t.ackOver),
            said && el("p", { class: "error", role: "alert" }, said));
        if (had && open) act.querySelector("button")?.focus();
        put(known, message && Object.keys(message.receipts).length > 0 && el("h2", {}, t.receipts), message && states(message));
    };
    const acknowledge = async () => {
        const who = (await read("shared")) ? await askWho(message?.title ?? "") : undefined;
        if (who === "") return;
        const sent = await report(id, "acknowledged", who);
        said = sent === "blocked" ? t.ackBlocked : "";
        draw();
        node.querySelector("h1")?.focus();
    };
    // A message drawn on a hidden page has not been read.
    const noteRead = async () => {
        if (!isShown || document.visibilityState !== "visible" || !message || message.head) return;
        void closeNotifications(id);
        if (!message.old && !isRead(message)) await report(id, "read");
    };
    const refresh = async () => {
        message = await one(id);
        draw();
        await noteRead();
    };
    const complete = async () => {
        try {
            message = await whole(id);
            failed = message?.head ? t.partial : "";
        } catch (error) {
            failed = error instanceof Problem && error.status !== 404 ? error.message : "";
        }
        draw();
        await noteRead();
    };
    const ends = [
        on("messages", (/** @type {string[] | null} */ ids) => (!ids || ids.includes(id)) && void refresh()),
        on("receipts", () => void refresh()),
        on("connection", (state) => state === "on" && (!message || message.partial) && void complete()),
    ];
    document.addEventListener("visibilitychange", noteRead);
    if (!message) await complete();
    else draw();

    return {
        title: message?.title ?? t.list,
        id,
        node,
        first: asked ? act.querySelector("button") ?? undefined : undefined,
        shown() {
            isShown = true;
            if (message?.partial) void complete();
            else void noteRead();
        },
        end() {
            for (const end of ends) end();
            document.removeEventListener("visibilitychange", noteRead);
        },
    };
}

function back() {
    const { back } = texts();
    const go = (/** @type {Event} */ event) => {
        event.preventDefault();
        toList();
    };
    return el("a", { class: "back", href: "#", onclick: go }, el("span", { "aria-hidden": "true" }, "← "), back);
}

/** @param {Message} message */
function content(message) {
    const t = texts();
    const { topic_name, topic, data } = message;
    return [
        el("p", { class: "marks" },
            message.priority !== "normal" && el("span", { class: `mark ${message.priority}` }, t.priority[message.priority]),
            el("span", { class: "topic" }, topic_name ?? topic)),
        el("h1", { tabindex: "-1", dir: "auto" }, message.title),
        el("p", { class: "body", dir: "auto" }, message.body ? linked(message.body) : t.noText),
        data && Object.keys(data).length > 0 && el("h2", {}, t.data),
        data && Object.keys(data).length > 0 && el("div", { class: "data", tabindex: "0", role: "region", "aria-label": t.data }, table(data)),
        el("dl", {},
            fact(t.from, sender(message)),
            fact(t.at, el("time", { datetime: message.accepted_at }, fullTimeOf(message.accepted_at))),
            fact(t.until, el("time", { datetime: message.expires_at }, fullTimeOf(message.expires_at)))),
    ];
}
