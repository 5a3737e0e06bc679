/** The pairing has ended, and its data are deleted. */
import { write } from "../db.js";
import { el } from "../dom.js";
import { texts } from "../texts.js";
import { pairView } from "./pair.js";

/**
 * @param {string} reason
 * @param {() => Promise<void>} begin called when the phone is paired again
 * @param {() => Promise<void>} done called when the person leaves
 * @returns {Promise<View>}
 */
export async function goneView(reason, begin, done) {
    const t = texts();
    await write("gone", undefined);
    const { node } = await pairView("", begin, done);
    const heading = el("h1", { tabindex: "-1" }, t.goneTitle);
    node.prepend(el("section", { class: "notice", role: "alert" },
        heading,
        el("p", {}, reason === "left" ? t.goneLeft : t.goneDead),
        el("p", {}, t.goneWay)));
    return { title: t.goneTitle, node, first: heading };
}
