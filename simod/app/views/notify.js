/** Turns notifications on: one button, and the result in plain words. */
import { button, el, put } from "../dom.js";
import { support, turnOn } from "../push.js";
import { texts, wordsOf } from "../texts.js";

/** The reason why this browser cannot ring; empty if it can. */
export function lacking() {
    const t = texts();
    return { ok: "", insecure: t.insecure, "no-worker": t.noWorker, "no-push": t.noPush, "install-first": t.installFirst }[support()];
}

/** @param {(on: boolean) => void} [done] */
export function notify(done = () => {}) {
    const t = texts();
    const said = el("p", { role: "status" });
    const press = button(t.turnOn, async () => {
        put(said, t.loading);
        said.className = "";
        try {
            const result = await turnOn();
            put(said, t[result]);
            said.className = result === "on" ? "good" : "error";
            if (result === "on") press.remove();
            else put(press, t.again);
            done(result === "on");
        } catch (error) {
            said.className = "error";
            put(said, wordsOf(error));
        }
    }, { class: "big" });
    return lacking() ? el("div", {}, el("p", { class: "error" }, lacking())) : el("div", {}, press, said);
}
