/** The data that a posting system added to a message, as a table; nested data as a table in a cell. */
import { el } from "../dom.js";
import { say } from "../lang.js";
import { linked } from "./links.js";

/** Data nested deeper are shown as JSON. */
const DEEPEST = 5;

/**
 * @param {any} value
 * @param {number} depth
 * @returns {(Node | string)[]}
 */
function shownValue(value, depth) {
    if (value === null || value === undefined) return ["—"];
    if (typeof value === "boolean") return [value ? say({ en: "yes", ru: "да" }) : say({ en: "no", ru: "нет" })];
    if (typeof value === "number") return [String(value)];
    if (typeof value !== "object") return linked(String(value));
    if (depth >= DEEPEST) return [JSON.stringify(value)];
    if (!Array.isArray(value)) return [table(value, depth)];
    if (value.every((item) => item === null || typeof item !== "object")) {
        return [value.map((item) => (item === null ? "—" : String(item))).join(", ") || "—"];
    }
    return [el("ol", {}, value.map((item) => el("li", {}, shownValue(item, depth + 1))))];
}

/**
 * @param {Record<string, any>} data
 * @param {number} [depth]
 */
export function table(data, depth = 0) {
    return el("table", {}, el("tbody", {}, Object.entries(data).map(([name, value]) => el("tr", {},
        el("th", { scope: "row" }, name),
        el("td", {}, shownValue(value, depth + 1))))));
}
