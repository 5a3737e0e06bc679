/** The app: shows the view that belongs to the address. */
import { cameFrom, toList } from "./back.js";
import { loadClock } from "./clock.js";
import { read } from "./db.js";
import { device } from "./device.js";
import { el, put } from "./dom.js";
import { on } from "./events.js";
import { frame } from "./frame.js";
import { lang, loadLang } from "./lang.js";
import { start as startLive } from "./live.js";
import { loaded } from "./load.js";
import { load } from "./model.js";
import { atStart, startWorker } from "./push.js";
import { loadTexts, texts } from "./texts.js";

/** Loaded on demand, because most visits do not need them. @type {Record<string, (detail: string) => Promise<View>>} */
const PARTS = {
    pair: async (code) => (await import("./views/pair.js")).pairView(code, begin, entered),
    gone: async (reason) => (await import("./views/gone.js")).goneView(reason, begin, entered),
    wall: async () => (await import("./views/wall.js")).wallView(),
    m: async (id) => (await import("./views/message.js")).messageView(id, false),
    ack: async (id) => (await import("./views/message.js")).messageView(id, true),
    "/ring": async () => (await import("./views/ring.js")).ringView(),
    "/devices": async () => (await import("./views/devices.js")).devicesView(),
    "/settings": async () => (await import("./views/settings.js")).settingsView(restart),
};

/** @type {ReturnType<typeof frame> | null} */
let shell = null;
/** @type {View | null} */
let whole = null;
/** Shown instead of the messages: pairing, with a link's code, or why the pairing ended. @type {{part: "pair" | "gone", detail: string} | null} */
let unpaired = null;
/** Counts calls of `show`: a call overtaken by a later one is dropped. */
let asked = 0;

/** @param {string} code of an invitation whose link was opened, or "" */
export async function start(code) {
    await Promise.all([loadLang(), loadClock()]);
    await loaded(loadTexts);
    startWorker().catch((error) => console.warn("worker:", error.message));
    if (code) unpaired = { part: "pair", detail: decoded(code) };
    else if (await device()) await begin();
    else unpaired = await outside();
    addEventListener("hashchange", (event) => {
        cameFrom(event.oldURL);
        void show();
    });
    addEventListener("keydown", onKey);
    await show();
}

/** The view of an unpaired phone: first the reason why its pairing ended. @returns {Promise<NonNullable<typeof unpaired>>} */
async function outside() {
    const reason = await read("gone");
    return reason ? { part: "gone", detail: reason } : { part: "pair", detail: "" };
}

/** Starts everything that a paired phone needs; from now on the address chooses the view again. */
async function begin() {
    unpaired = null;
    await load();
    void startLive();
    atStart().catch((error) => console.warn("push:", error.message));
}

/** The person has finished pairing or left it. */
async function entered() {
    if (await device()) await begin();
    else unpaired = await outside();
    if (location.hash) history.replaceState(null, "", "./");
    await show();
}

/** Redraws everything in another language. */
async function restart() {
    await loaded(loadTexts);
    shell?.end();
    shell = null;
    await show();
}

async function show() {
    const mine = ++asked;
    document.documentElement.lang = lang();
    const [name, detail] = address();
    const full = unpaired ?? (name === "wall" || name === "pair" ? { part: name, detail } : null);
    try {
        if (full) {
            const view = await loaded(() => PARTS[full.part](full.detail));
            if (mine === asked) alone(view);
            else view.end?.();
            return;
        }
        if (!shell) alone(null);
        shell ??= frame();
        if (!shell.node.isConnected) put(document.body, shell.node);
        // Addresses may be anything: the view of an ended pairing has none, and neither have built-in names of objects.
        const part = name !== "gone" && Object.hasOwn(PARTS, name) ? PARTS[name] : null;
        const view = part && (await loaded(() => part(detail)));
        if (mine === asked) shell.show(view, name);
        else view?.end?.();
    } catch (error) {
        console.error(error);
        if (mine === asked) put(document.body, el("main", { class: "page" }, el("h1", {}, "SiMO"), el("p", {}, texts().broken),
            el("button", { type: "button", onclick: () => location.reload() }, texts().again)));
    }
}

/**
 * A view that takes the whole screen.
 * @param {View | null} view
 */
function alone(view) {
    whole?.end?.();
    whole = view;
    if (!view) return;
    shell?.end();
    shell = null;
    document.title = `${view.title} · SiMO`;
    put(document.body, view.node);
    view.first?.focus();
}

/** @returns {[string, string]} the view's name, and what it shows */
function address() {
    const [, name, detail = ""] = /^#([^=]*)=?(.*)$/.exec(location.hash) ?? ["", ""];
    if (name !== "pair") return [name, decoded(detail)];
    // An invitation's link was opened while the page was already loaded.
    history.replaceState(null, "", "./#pair");
    if (detail) unpaired = { part: "pair", detail: decoded(detail) };
    return ["pair", ""];
}

/** @param {string} text from the address, possibly malformed */
function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

/** @param {KeyboardEvent} event */
function onKey(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (location.hash && !unpaired) toList();
}

on("open", (id) => {
    location.hash = id ? `#m=${encodeURIComponent(id)}` : "";
});
// Paired in another window, perhaps by another person.
on("paired", (_, isElsewhere) => isElsewhere && location.reload());
on("gone", ({ reason }) => {
    // It ends because another pairing replaces it.
    if (unpaired?.part === "pair" || location.hash === "#pair") return;
    unpaired = { part: "gone", detail: reason };
    void show();
});
