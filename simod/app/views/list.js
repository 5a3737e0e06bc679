/** The list of messages, by day. */
import { button, el, put } from "../dom.js";
import { on } from "../events.js";
import { older } from "../messages.js";
import { messages } from "../model.js";
import { texts } from "../texts.js";
import { filter } from "./filter.js";
import { rowsOf } from "./row.js";
import { rows } from "./rows.js";

/** Milliseconds before asking a server again that could not be reached. */
const PAUSE = 15_000;

export function listView() {
    const t = texts();
    let selected = "";
    let last = "";
    let more = true;
    let fetching = false;
    const bottom = el("p", { class: "hint", role: "status" });
    const empty = el("div", { class: "hint" });

    const fetchOlder = async () => {
        if (!more || fetching || filtering.isOn()) return;
        fetching = true;
        put(bottom, messages().length > 0 && t.older);
        try {
            more = await older();
            put(bottom);
            fetching = false;
            draw();
        } catch {
            put(bottom, messages().length > 0 && t.olderFailed);
            setTimeout(() => (fetching = false), PAUSE);
        }
    };
    const list = rows({ end: () => void fetchOlder() });
    const draw = () => {
        const shown = filtering.filtered();
        const hidden = filtering.isOn();
        const nothing = hidden ? filtering.nothing() : t.empty;
        put(empty, shown.length === 0 && nothing && el("p", {}, nothing),
            shown.length === 0 && hidden && button(t.showAll, () => filtering.clear()));
        list.set(rowsOf(shown, selected));
    };
    const filtering = filter(() => {
        list.toTop();
        draw();
    });

    const node = el("section", { class: "list", onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.target instanceof HTMLSelectElement) return;
        if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
        event.preventDefault();
        list.move(event.key === "ArrowDown" ? 1 : -1);
    } }, el("h1", { class: "unseen" }, t.list), filtering.node, empty, list.node, bottom);
    const end = on("model", draw);
    draw();

    return {
        title: t.list,
        node,
        /** @param {string} id the message shown beside the list */
        select(id) {
            if (id === selected) return;
            selected = id;
            last = id || last;
            draw();
        },
        focus() {
            // The link that the person came from before a message covered the list.
            const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (node.querySelectorAll(".rows a"));
            [...links].find((link) => link.hash === `#m=${encodeURIComponent(last)}`)?.focus({ preventScroll: true });
        },
        end() {
            end();
            list.end();
        },
    };
}
