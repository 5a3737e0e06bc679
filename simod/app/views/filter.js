/** The search field and filters of the list, and the messages that they select. */
import { Problem } from "../api.js";
import { el, put } from "../dom.js";
import { isOpen, isUnread, search } from "../messages.js";
import { messages } from "../model.js";
import { texts } from "../texts.js";

/** Milliseconds after the last keystroke. */
const TYPED = 400;
/** The most messages that the server finds at once. */
const MOST = 200;

/** @param {() => void} changed */
export function filter(changed) {
    const t = texts();
    let unread = false;
    let open = false;
    /** Ids of the messages that the server found; null: no search. @type {Set<string> | null} */
    let found = null;
    /** Searched for on this phone while the server cannot be reached. */
    let letters = "";
    let asked = 0;
    let timer = 0;

    const field = el("input", {
        type: "search", "aria-label": t.search, placeholder: t.search, autocomplete: "off", spellcheck: "false",
        enterkeyhint: "search", title: t.searchHelp, maxlength: "500",
        oninput: () => {
            clearTimeout(timer);
            timer = setTimeout(look, TYPED);
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.key === "Enter") look();
            if (event.key !== "Escape" || !field.value) return;
            event.preventDefault();
            field.value = "";
            look();
        },
    });
    const said = el("p", { class: "said", role: "status" });
    const topics = el("select", { "aria-label": t.topic, onchange: () => changed() });
    const unreadOnly = toggle(t.unreadOnly, (on) => (unread = on));
    const openOnly = toggle(t.openOnly, (on) => (open = on));

    /**
     * @param {string} text
     * @param {(on: boolean) => void} set
     */
    function toggle(text, set) {
        const node = el("button", { type: "button", class: "chip", "aria-pressed": "false" }, text);
        node.addEventListener("click", () => {
            const on = node.getAttribute("aria-pressed") !== "true";
            node.setAttribute("aria-pressed", String(on));
            set(on);
            changed();
        });
        return node;
    }

    async function look() {
        clearTimeout(timer);
        const mine = ++asked;
        const query = field.value.trim();
        letters = "";
        if (!query) {
            found = null;
            put(said);
            changed();
            return;
        }
        try {
            const ids = (await search(query)).map(({ id }) => id);
            if (mine !== asked) return;
            found = new Set(ids);
            put(said, ids.length ? t.found(ids.length) : t.emptySearch, ids.length >= MOST && ` ${t.foundMost}`);
        } catch (error) {
            if (mine !== asked) return;
            const refused = error instanceof Problem && error.status === 422 ? error : null;
            found = refused ? new Set() : null;
            letters = refused ? "" : query.toLowerCase();
            put(said, refused ? `${refused.message} ${refused.hint}` : t.foundHere);
        }
        changed();
    }

    return {
        node: el("search", { class: "filter" }, field,
            el("div", { class: "chips", role: "group", "aria-label": t.filters }, unreadOnly, openOnly, topics), said),
        field,
        /** The text for an empty list; a search has already reported above. */
        nothing: () => (found?.size === 0 ? "" : letters ? t.emptySearch : t.emptyFilter),
        /** Whether messages are hidden. */
        isOn: () => Boolean(unread || open || topics.value || found || letters),
        clear() {
            for (const node of [unreadOnly, openOnly]) node.setAttribute("aria-pressed", "false");
            unread = open = false;
            topics.value = field.value = "";
            void look();
        },
        /** @returns {readonly Message[]} */
        filtered() {
            drawTopics(topics);
            const topic = topics.value;
            if (!unread && !open && !topic && !found && !letters) return messages();
            return messages().filter((message) => (!unread || isUnread(message)) && (!open || isOpen(message))
                && (!topic || message.topic === topic) && (!found || found.has(message.id))
                && (!letters || `${message.title}\n${message.body}`.toLowerCase().includes(letters)));
        },
    };
}

/** @param {HTMLSelectElement} select */
function drawTopics(select) {
    /** @type {Map<string, string>} */
    const names = new Map();
    for (const { topic, topic_name } of messages()) if (topic && !names.has(topic)) names.set(topic, topic_name ?? topic);
    if (names.size === select.options.length - 1) return;
    const chosen = select.value;
    const sorted = [...names].sort(([, one], [, other]) => one.localeCompare(other));
    put(select, el("option", { value: "" }, texts().allTopics), sorted.map(([value, name]) => el("option", { value }, name)));
    select.value = chosen;
}
