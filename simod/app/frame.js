/** The paired phone's screen: notices on top, the list, one message or view beside or over it, and the navigation. */
import { el, put } from "./dom.js";
import { on } from "./events.js";
import { isUnread } from "./messages.js";
import { messages } from "./model.js";
import { notices } from "./notices.js";
import { texts } from "./texts.js";
import { listView } from "./views/list.js";

/** Milliseconds that a screen reader has for what arrived: it does not stay when the message goes. */
const SAID_FOR = 10_000;

export function frame() {
    const t = texts();
    const count = el("span", { class: "count" });
    /** @type {[string, string][]} */
    const places = [["", t.navMessages], ["/ring", t.navRing], ["/devices", t.navDevices], ["/settings", t.navSettings]];
    const links = places.map(([name, text]) => el("a", { href: `#${name}` }, text, name === "" && count));
    const lines = notices();
    const list = listView();
    const pane = el("section", { class: "pane" });
    const said = el("p", { class: "unseen", "aria-live": "polite" });
    const node = el("div", { class: "frame" },
        el("header", {}, lines.node),
        el("main", {}, list.node, pane),
        el("nav", { "aria-label": t.nav }, links),
        said);
    /** @type {View | null} */
    let current = null;
    let timer = 0;

    const drawCount = () => {
        const unread = messages().filter(isUnread).length;
        put(count, unread > 0 && ` ${unread}`, unread > 0 && el("span", { class: "unseen" }, ` ${t.unread}`));
        document.title = `${unread ? `(${unread}) ` : ""}${current?.title ?? t.list} · SiMO`;
    };
    const end = on("model", (/** @type {Message[]} */ fresh) => {
        drawCount();
        if (!fresh.length) return;
        put(said, fresh.length === 1 ? t.arrived(fresh[0].title) : t.arrivedMany(fresh.length));
        clearTimeout(timer);
        timer = setTimeout(() => put(said), SAID_FOR);
    });

    return {
        node,
        /**
         * @param {View | null} view null: the list alone
         * @param {string} name of its place in the navigation
         */
        show(view, name) {
            current?.end?.();
            current = view;
            node.classList.toggle("over", view !== null);
            places.forEach(([place], at) => {
                if (place === name || (place === "" && !name.startsWith("/"))) links[at].setAttribute("aria-current", "page");
                else links[at].removeAttribute("aria-current");
            });
            list.select(name === "m" || name === "ack" ? view?.id ?? "" : "");
            put(pane, view ? view.node : el("p", { class: "hint" }, t.pickOne));
            drawCount();
            if (view) (view.first ?? view.node.querySelector("h1"))?.focus();
            else list.focus();
            view?.shown?.();
        },
        end() {
            current?.end?.();
            list.end?.();
            lines.end();
            end();
        },
    };
}
