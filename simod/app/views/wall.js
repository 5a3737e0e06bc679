/** For a control room: unacknowledged messages, readable from across the room. */
import { stayAwake } from "../awake.js";
import { serverNow } from "../clock.js";
import { read, writeWhilePaired } from "../db.js";
import { device } from "../device.js";
import { button, el, put } from "../dom.js";
import { on } from "../events.js";
import { connection } from "../live.js";
import { isMissed, isOpen } from "../messages.js";
import { messages } from "../model.js";
import { cutOffSince, isCutOff } from "../notices.js";
import { report, stateOf } from "../receipts.js";
import { alarm } from "../sound.js";
import { texts } from "../texts.js";
import { duration, momentOf, timeOf } from "../times.js";
import { unlinked } from "./links.js";
import { stateText } from "./states.js";
import { askWho } from "./who.js";

/** Milliseconds, a shift: how long an expired alarm is still shown as missed. */
const MISSED_FOR = 12 * 3_600_000;

/** Priorities that sound the alarm. */
const LOUD = ["critical", "high"];
const ORDER = ["critical", "high", "normal", "low"];

/** @param {Message} message */
function isMissedLately(message) {
    return isMissed(message) && serverNow() - Date.parse(message.expires_at) < MISSED_FOR;
}

/** @returns {Promise<View>} */
export async function wallView() {
    const t = texts();
    const whose = (await device())?.employee;
    // From now on single messages ask for a name, too, until the setting is changed.
    if ((await read("shared")) === undefined) await writeWhilePaired("shared", true);
    const bell = alarm();
    const clock = el("time", { class: "clock" });
    const cut = el("strong", { role: "alert" });
    const cutFor = el("span", {});
    const list = el("ul", { class: "alarms", "aria-live": "polite" });
    const noLock = el("p", { class: "help" });
    const calm = el("li", { class: "calm" }, t.wallCalm);
    /** Kept, so that the focus stays and a screen reader only reads new rows. @type {Map<string, {key: string} & ReturnType<typeof row>>} */
    const rows = new Map();

    const sound = button(t.wallSound, async () => {
        if (bell.isAllowed()) bell.forbid();
        else await bell.allow();
        put(sound, bell.isAllowed() ? t.wallMute : t.wallSound);
        sound.classList.toggle("big", !bell.isAllowed());
    }, { class: "big" });

    const draw = () => {
        // Messages acknowledged here stay until the server has the receipt.
        const open = messages().filter((message) => isOpen(message) || isMissedLately(message)
            || ["kept", "sent"].includes(stateOf(message, "acknowledged")));
        open.sort((one, other) => Number(isMissed(one)) - Number(isMissed(other))
            || ORDER.indexOf(one.priority) - ORDER.indexOf(other.priority)
            || (one.accepted_at < other.accepted_at ? -1 : 1));
        bell.ring(open.some((message) => isOpen(message) && LOUD.includes(message.priority)));
        const ids = new Set(open.map((message) => message.id));
        for (const [id, { node }] of rows) {
            if (ids.has(id)) continue;
            node.remove();
            rows.delete(id);
        }
        open.forEach((message, place) => {
            const key = [message.title, message.body, stateText(message, "acknowledged"), isMissed(message)].join("\n");
            let known = rows.get(message.id);
            if (known?.key !== key) {
                known?.node.remove();
                rows.set(message.id, known = { key, ...row(message) });
            }
            if (list.children[place] !== known.node) list.insertBefore(known.node, list.children[place] ?? null);
        });
        tick();
    };

    /** @param {Message} message */
    const row = (message) => {
        const since = el("span", { class: "since", "aria-live": "off" });
        const by = message.receipts.acknowledged?.by;
        const node = el("li", { class: `${message.priority} ${isMissed(message) ? "missed" : ""}` },
            el("div", {},
                el("p", { class: "marks" }, el("span", { class: `mark ${message.priority}` }, t.priority[message.priority]),
                    el("span", { class: "topic" }, message.topic_name ?? message.topic)),
                el("h2", { dir: "auto" }, message.title),
                el("p", { class: "body", dir: "auto" }, unlinked(message.body)),
                el("p", {}, momentOf(message.accepted_at), " · ", since)),
            isMissed(message) && el("p", { class: "state" }, t.wallMissed),
            !isMissed(message) && (!isOpen(message) || by)
                && el("p", { class: "state" }, by && `${t.wallBy(by)} · `, stateText(message, "acknowledged")),
            isOpen(message) && button(t.acknowledge, async () => {
                const name = await askWho(message.title);
                if (name) await report(message.id, "acknowledged", name);
            }, { class: "big", "aria-label": `${t.acknowledge}: ${message.title}` }));
        return { node, since, from: Date.parse(message.accepted_at) };
    };

    const tick = () => {
        const now = Date.now();
        put(clock, timeOf(new Date(now).toISOString()));
        for (const { since, from } of rows.values()) since.textContent = duration(serverNow() - from);
        const text = connection() === "blocked" ? t.blocked : isCutOff() ? t.wallOffline : "";
        // Screen readers should read it once, not every second.
        if (cut.textContent !== text) put(cut, text);
        // Without a connection we do not know that all is calm.
        if (rows.size || text) calm.remove();
        else if (!calm.parentNode) list.append(calm);
        put(cutFor, text && ` ${duration(now - cutOffSince())}`);
    };
    const ends = [on("model", draw), on("receipts", draw), stayAwake((held) => put(noLock, !held && t.wallNoLock))];
    // The clock goes on, and messages expire.
    const timer = setInterval(draw, 1000);
    draw();
    return {
        title: t.wallTitle,
        node: el("main", { class: "wall" },
            el("header", {}, el("h1", {}, t.wallTitle), el("span", { class: "whose" }, whose && `${whose.client} · ${whose.full_name}`), clock),
            el("p", { class: "cut" }, cut, cutFor), list,
            el("footer", {}, sound, noLock, !isSecureContext && el("p", { class: "help" }, t.insecure), el("a", { class: "button", href: "#" }, t.wallLeave))),
        end() {
            for (const end of ends) end();
            clearInterval(timer);
            bell.ring(false);
            bell.forbid();
        },
    };
}
