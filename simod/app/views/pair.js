/** Leads from an invitation to a phone that rings. */
import { Problem } from "../api.js";
import { button, el, put } from "../dom.js";
import { isLasting } from "../db.js";
import { abandon, begun, device, pair, preview } from "../device.js";
import { normalize, shown, wrongIn } from "../code.js";
import { isInstalled, isIos, suggestedName } from "../platform.js";
import { texts } from "../texts.js";
import { iphone } from "./iphone.js";
import { lacking, notify } from "./notify.js";

/** Milliseconds without an answer before we tell the person. */
const PATIENCE = 5_000;

/**
 * @param {string} given the code from a link, or ""
 * @param {() => Promise<void>} begin called when the phone is paired
 * @param {() => Promise<void>} done called when the person leaves
 * @returns {Promise<View>}
 */
export async function pairView(given, begin, done) {
    const t = texts();
    const paired = await device();
    const step = el("div", {});
    const node = el("main", { class: "page pair" }, el("p", { class: "brand" }, "SiMO"), step);
    /** @param {...(import("../dom.js").Child | import("../dom.js").Child[])} children */
    const show = (...children) => {
        put(step, ...children);
        const first = step.querySelector("h1");
        if (first instanceof HTMLElement) first.focus();
    };

    /** Before the code is used up: this browser may be the wrong one, and a code works only once. */
    const warning = () => (!isLasting() ? t.notLastingPair : isSecureContext ? lacking() : "");
    const leave = async () => {
        await abandon();
        await done();
    };
    /** Waits for the server, and reports a slow answer. */
    const waiting = () => {
        const said = el("p", { role: "status" }, t.loading);
        show(said);
        setTimeout(() => {
            if (said.isConnected) show(el("p", { role: "status" }, t.stillTrying), button(t.cancel, leave));
        }, PATIENCE);
    };

    /** @param {string} typed @param {string} [error] */
    const enter = (typed, error = "") => {
        const field = el("input", {
            id: "code", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "200", required: true,
            "aria-describedby": "code-error code-help", enterkeyhint: "go", "aria-invalid": error ? "true" : null,
        });
        field.value = typed;
        const said = el("p", { id: "code-error", class: "error", role: "alert" }, error);
        const go = () => {
            const code = normalize(field.value);
            if (code) return asked(code);
            field.setAttribute("aria-invalid", "true");
            put(said, t[wrongIn(field.value)]);
            field.focus();
        };
        const paste = async () => {
            try {
                field.value = (await navigator.clipboard.readText()).trim().slice(0, 200);
                await go();
            } catch {
                put(said, t.pasteByHand);
                field.focus();
            }
        };
        show(el("h1", { tabindex: "-1" }, t.pairTitle),
            // Not the camera: it would open Safari, where the code was copied from.
            el("p", {}, isIos() && isInstalled() ? t.pairLeadHome : t.pairLead),
            el("form", { novalidate: true, onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void go()) },
                el("label", { for: "code" }, t.code), field,
                said, el("p", { id: "code-help", class: "help" }, t.codeHelp),
                el("div", { class: "buttons" },
                    isSecureContext && button(t.paste, paste),
                    el("button", { class: "big" }, t.go))),
            !isSecureContext && el("p", { class: "help" }, lacking()),
            paired && button(t.cancel, leave));
        if (error || isInstalled()) field.focus();
    };

    /** @param {string} code */
    const asked = async (code) => {
        waiting();
        try {
            question(code, await preview(code));
        } catch (error) {
            // The code is used up; if by this phone, pairing again fetches the lost answer.
            if (error instanceof Problem && error.code === "wrong_code" && (await begun()) === code) return connect(code, suggestedName());
            failed(code, error, () => asked(code));
        }
    };

    /** @param {string} code @param {{client: string, first_name: string}} whose */
    const question = (code, { client, first_name }) => {
        const name = el("input", { id: "phone", maxlength: "100", autocomplete: "off", "aria-describedby": "phone-help" });
        name.value = suggestedName();
        const old = paired && `${paired.employee.full_name} (${paired.employee.client})`;
        const yes = () => connect(code, name.value.trim() || suggestedName());
        show(el("h1", { tabindex: "-1" }, t.isItYou(client, first_name)),
            old && el("p", { class: "error" }, t.replace(old, `${first_name} (${client})`)),
            el("form", { onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void yes()) },
                el("label", { for: "phone" }, t.phoneName), name,
                el("p", { id: "phone-help", class: "help" }, t.phoneNameHelp),
                el("button", { class: old ? "big grave" : "big" }, old ? t.yesReplace : t.yes)),
            button(old ? t.cancel : t.notMe, () => (old ? leave() : enter("", t.notMeSaid))),
            warning() && el("p", { class: "error" }, warning()),
            warning() && el("p", { class: "code", translate: "no" }, shown(code)));
    };

    /** @param {string} code @param {string} name */
    const connect = async (code, name) => {
        waiting();
        try {
            await pair({ code, name });
            await begin();
            finished();
        } catch (error) {
            if (error instanceof Problem && error.code === "left") return;
            failed(code, error, () => connect(code, name));
        }
    };

    const finished = () => {
        const test = button(t.tryIt, async () => {
            await done();
            location.hash = "/ring";
        });
        const asks = lacking() ? null : el("p", {}, t.pairedLead);
        const buttons = el("div", { class: "buttons" }, button(lacking() ? t.toMessages : t.later, done));
        show(el("h1", { tabindex: "-1" }, t.paired), asks, notify((rings) => {
            asks?.remove();
            put(buttons, rings && test, button(t.toMessages, done));
        }), buttons);
    };

    /** @param {string} code @param {unknown} error @param {() => any} again */
    const failed = (code, error, again) => {
        const problem = error instanceof Problem ? error : new Problem("", t.unexpected);
        if (problem.code === "wrong_code") return enter(shown(code), t.codeWrong);
        const text = problem.code === "blocked" ? t.codeBlocked
            : ["offline", "timeout"].includes(problem.code) ? t.codeOffline
            : problem.status === 429 ? t.codeTooMany(problem.retryAfter || 60)
            : `${problem.message} ${problem.hint}`;
        show(el("h1", { tabindex: "-1" }, t.pairTitle),
            el("p", { class: "error", role: "alert" }, text),
            el("div", { class: "buttons" },
                button(t.otherCode, async () => {
                    await abandon();
                    enter("");
                }),
                button(t.again, again, { class: "big" })),
            paired && button(t.cancel, leave));
    };

    // Continues a pairing that was interrupted by closing the page.
    const code = normalize(given || (await begun()) || "");
    if (isIos() && !isInstalled() && isSecureContext) show(iphone(code));
    else if (code) void asked(code);
    else enter(given, given && t[wrongIn(given)]);
    return { title: t.pairTitle, node };
}
