/** Language, the phone's person, and unpairing. */
import { Problem } from "../api.js";
import { ask, button, el, fact, put } from "../dom.js";
import { read, write } from "../db.js";
import { device, leave } from "../device.js";
import { forget } from "../forget.js";
import { lang, setLang } from "../lang.js";
import { atStart } from "../push.js";
import { texts } from "../texts.js";

/**
 * @param {() => Promise<void>} restart redraws the app
 * @returns {Promise<View>}
 */
export async function settingsView(restart) {
    const t = texts();
    const paired = await device();
    const said = el("p", { class: "error", role: "alert" });
    const language = el("select", { id: "language", onchange: async () => {
        await setLang(/** @type {Lang} */ (language.value));
        // The server writes notifications in the language of the last call that set the channel.
        atStart().catch(() => null);
        await restart();
    } }, el("option", { value: "ru", lang: "ru" }, "Русский"), el("option", { value: "en", lang: "en" }, "English"));
    language.value = lang();
    const unpair = async () => {
        if (!(await ask(t.unpairThisAsk, t.unpair, t.cancel))) return;
        try {
            await leave();
        } catch (error) {
            if (error instanceof Problem && error.code === "blocked") {
                if (await ask(t.unpairBlocked, t.unpair, t.cancel)) await forget("left");
                return;
            }
            put(said, error instanceof Problem && error.status ? error.message : t.unpairOffline);
        }
    };
    const shared = el("input", { type: "checkbox", onchange: () => write("shared", shared.checked) });
    shared.checked = Boolean(await read("shared"));
    const node = el("article", { class: "page" },
        el("h1", { tabindex: "-1" }, t.settings),
        el("p", {}, el("label", { for: "language" }, t.language), language),
        paired && el("dl", {},
            fact(t.employee, paired.employee.full_name),
            fact(t.personnelNo, paired.employee.personnel_no),
            fact(t.client, paired.employee.client),
            fact(t.phoneName, paired.name)),
        el("h2", {}, t.wall),
        el("p", {}, t.wallLead),
        el("p", {}, el("a", { class: "button", href: "#wall" }, t.wallOpen)),
        el("p", {}, el("label", {}, shared, " ", t.shared)),
        el("h2", {}, t.connection),
        el("p", {}, el("a", { class: "button", href: "#pair" }, t.otherPairing)),
        button(t.unpairThis, unpair, { class: "grave" }),
        said);
    return { title: t.settings, node };
}
