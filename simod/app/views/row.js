/** One message in the list. */
import { isOver } from "../clock.js";
import { el } from "../dom.js";
import { isAcknowledged, isOpen, isUnread } from "../messages.js";
import { stateOf } from "../receipts.js";
import { texts } from "../texts.js";
import { dayOf, timeOf } from "../times.js";

/** Heights in rem. */
const ROW = 4.25;
const DAY = 2.25;

/**
 * Rows with a heading for each day.
 * @param {readonly Message[]} messages the newest first
 * @param {string} selected
 * @returns {import("./rows.js").Row[]}
 */
export function rowsOf(messages, selected) {
    /** @type {import("./rows.js").Row[]} */
    const rows = [];
    let day = "";
    for (const message of messages) {
        const its = new Date(message.accepted_at).toDateString();
        if (its !== day) {
            day = its;
            const text = dayOf(message.accepted_at);
            rows.push({ key: day, height: DAY, look: text, heading: true, draw: () => el("h2", {}, text) });
        }
        rows.push({
            key: message.id,
            height: ROW,
            look: lookOf(message, message.id === selected),
            draw: () => draw(message, message.id === selected),
        });
    }
    return rows;
}

/**
 * The system that sent it; administrators and SiMO itself send as SiMO.
 * @param {Message} message
 */
export function sender({ acs }) {
    return acs === "operator" ? "SiMO" : acs;
}

/**
 * @param {Message} message
 * @param {boolean} selected
 */
function lookOf(message, selected) {
    return [message.title, message.topic_name, message.priority, message.accepted_at, ackOf(message),
        isUnread(message), isOver(message), selected].join("\n");
}

/**
 * The mark for the acknowledgement: done only once the server has it.
 * @param {Message} message
 */
function ackOf(message) {
    const t = texts();
    if (isOpen(message)) return t.toAcknowledge;
    if (!message.require_ack || !isAcknowledged(message)) return "";
    const state = stateOf(message, "acknowledged");
    return state === "kept" ? t.kept : state === "sent" ? t.sent : t.acknowledged;
}

/**
 * @param {Message} message
 * @param {boolean} selected
 */
function draw(message, selected) {
    const t = texts();
    const unread = isUnread(message);
    const ack = ackOf(message);
    const marks = [
        message.priority !== "normal" && el("span", { class: `mark ${message.priority}` }, t.priority[message.priority]),
        ack && el("span", { class: isOpen(message) ? "mark open" : "mark" }, ack),
        isOver(message) && el("span", { class: "mark" }, t.over),
        el("span", { class: "topic" }, message.topic_name ?? message.topic ?? sender(message)),
    ];
    return el("a", {
        href: `#m=${encodeURIComponent(message.id)}`,
        class: `${message.priority}${unread ? " new" : ""}`,
        "aria-current": selected && "true",
    },
    el("span", { class: "title" }, unread && el("span", { class: "unseen" }, `${t.unread}: `), message.title),
    el("time", { datetime: message.accepted_at }, timeOf(message.accepted_at)),
    el("span", { class: "marks" }, marks));
}
