/** The notices on top: what the person must know about this phone now. */
import { isLasting } from "./db.js";
import { el, put } from "./dom.js";
import { on } from "./events.js";
import { connection } from "./live.js";
import { isSilent } from "./push.js";
import { texts } from "./texts.js";
import { offBy } from "./times.js";

/** Milliseconds without a connection before we tell the person. */
const PATIENCE = 3000;

let clockOff = 0;
let lastOn = Date.now();
on("clock", (minutes) => (clockOff = minutes));

/** Whether the server has not been reached for a while. */
export function isCutOff() {
    if (connection() === "on") lastOn = Date.now();
    return connection() !== "on" && connection() !== "replaced" && Date.now() - lastOn > PATIENCE;
}

/** Since when there has been no connection, in milliseconds of the epoch. */
export function cutOffSince() {
    return lastOn;
}

/** @returns {{node: HTMLElement, end: () => void}} */
export function notices() {
    const node = el("div", { class: "notices", role: "status" });
    let shown = "";
    const draw = () => {
        const lines = current();
        const key = `${lines} ${saysSilent()}`;
        // Screen readers would repeat a line that is inserted again.
        if (key === shown) return;
        shown = key;
        const way = el("a", { href: "#/ring" }, texts().silentGo);
        put(node, lines.map((line) => el("p", {}, line)), saysSilent() && el("p", {}, texts().silent, " ", way));
    };
    const ends = ["connection", "clock", "model"].map((name) => on(name, draw));
    const timer = setInterval(draw, PATIENCE);
    window.addEventListener("hashchange", draw);
    draw();
    return {
        node,
        end: () => {
            for (const end of ends) end();
            clearInterval(timer);
            window.removeEventListener("hashchange", draw);
        },
    };
}

/** @returns {string[]} */
function current() {
    const t = texts();
    const cut = isCutOff();
    return [
        connection() === "blocked" ? t.blocked : cut ? t.offline : "",
        connection() === "replaced" ? t.replaced : "",
        clockOff ? t.clock(offBy(clockOff), clockOff > 0) : "",
        isLasting() ? "" : t.notLasting,
        isSecureContext ? "" : t.insecure,
    ].filter(Boolean);
}

/** Whether to say that this phone does not ring; over http another notice says so. */
function saysSilent() {
    return isSecureContext && location.hash !== "#/ring" && isSilent();
}
