/** The progress of each receipt. Nothing looks done before the server has it. */
import { el } from "../dom.js";
import { stateOf } from "../receipts.js";
import { texts } from "../texts.js";
import { momentOf } from "../times.js";

/** @type {ReceiptKind[]} */
const KINDS = ["delivered", "read", "acknowledged"];

/**
 * @param {Message} message
 * @param {ReceiptKind} kind
 */
export function stateText(message, kind) {
    const t = texts();
    const receipt = message.receipts[kind];
    switch (stateOf(message, kind)) {
        case "kept":
            return t.kept;
        case "sent":
            return t.sent;
        case "refused":
            return t.notTaken;
        case "stored":
            return t.stored(momentOf(receipt?.stored_at ?? ""));
        default:
            return isElsewhere(message, kind) ? t.elsewhere : "";
    }
}

/**
 * Whether another of the person's phones reported it: a later state includes the earlier ones.
 * @param {Message} message
 * @param {ReceiptKind} kind
 */
function isElsewhere(message, kind) {
    const reached = KINDS.indexOf(/** @type {ReceiptKind} */ (message.state));
    return reached >= KINDS.indexOf(kind) && (kind !== "read" || message.state === "read");
}

/** @param {Message} message */
export function states(message) {
    const t = texts();
    const lines = KINDS.map((kind) => /** @type {const} */ ([kind, stateText(message, kind)])).filter(([, text]) => text);
    return el("dl", { class: "states" }, lines.map(([kind, text]) => el("div", {},
        el("dt", {}, t.kinds[kind]),
        el("dd", {}, stateOf(message, kind) === "stored" && el("span", { class: "tick", "aria-hidden": "true" }, "✓ "), text,
            message.receipts[kind]?.by && ` · ${message.receipts[kind]?.by}`))));
}
