/**
 * In Safari on an iPhone a page cannot ring, and the installed app does not see Safari's data: so this only passes
 * the code on, unused.
 */
import { shown } from "../code.js";
import { button, el, put } from "../dom.js";
import { texts } from "../texts.js";

/** @param {string} code of the invitation, or "" */
export function iphone(code) {
    const t = texts();
    const said = el("p", { role: "status" });
    const text = el("p", { class: "code", translate: "no" }, shown(code));
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(shown(code));
            put(said, t.copied);
        } catch {
            getSelection()?.selectAllChildren(text);
            put(said, t.copyByHand);
        }
    };
    return [
        el("h1", { tabindex: "-1" }, t.iphoneTitle),
        el("p", {}, t.iphoneLead),
        code && text,
        code && button(t.copy, copy, { class: "big" }),
        said,
        el("ol", { class: "steps" }, t.iphoneSteps.slice(code ? 0 : 1).map((step) => el("li", {}, step))),
    ];
}
