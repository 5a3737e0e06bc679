/** The person's phones. */
import { ask, button, el, put } from "../dom.js";
import { devices, unpair } from "../device.js";
import { on } from "../events.js";
import { texts, wordsOf } from "../texts.js";
import { momentOf } from "../times.js";

/** @returns {Promise<View>} */
export async function devicesView() {
    const t = texts();
    const list = el("div", { "aria-live": "polite" });
    const node = el("article", { class: "page" },
        el("h1", { tabindex: "-1" }, t.devices), el("p", {}, t.devicesLead), list, el("p", { class: "help" }, t.addPhone));

    const draw = async () => {
        try {
            const all = await devices();
            put(list, el("ul", { class: "cards" }, all.map(card)));
        } catch (error) {
            failed(error);
        }
    };
    /** @param {unknown} error */
    const failed = (error) => put(list, el("p", { class: "error", role: "alert" }, wordsOf(error)), button(t.again, draw));
    /** @param {PersonsDevice} phone */
    const card = (phone) => el("li", {},
        el("strong", {}, phone.name || phone.platform),
        phone.this && el("span", { class: "mark" }, t.thisPhone),
        el("p", { class: "help" }, [
            /** @type {Record<string, string>} */ (t.channels)[phone.channel] ?? phone.channel,
            t.pairedAt(momentOf(phone.paired_at)),
            phone.seen_at ? t.seenAt(momentOf(phone.seen_at)) : t.neverSeen,
        ].join(" · ")),
        !phone.this && button(t.unpair, async () => {
            if (!(await ask(t.unpairAsk(phone.name || phone.platform), t.unpair, t.cancel))) return;
            try {
                await unpair(phone.id);
                await draw();
            } catch (error) {
                failed(error);
            }
        }, { "aria-label": `${t.unpair}: ${phone.name}` }));

    put(list, el("p", {}, t.loading));
    void draw();
    return { title: t.devices, node, end: on("devices", draw) };
}
