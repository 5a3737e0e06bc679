/** Times, in the zone of this phone. */
import { lang, plural, say } from "./lang.js";

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * @param {Intl.DateTimeFormatOptions} options
 * @param {Date} date
 */
function formatted(options, date) {
    const key = lang() + JSON.stringify(options);
    const format = formats.get(key) ?? new Intl.DateTimeFormat(lang() === "ru" ? "ru-RU" : "en-GB", options);
    formats.set(key, format);
    return format.format(date);
}

/** @param {string} at */
export function timeOf(at) {
    return formatted({ hour: "2-digit", minute: "2-digit" }, new Date(at));
}

/**
 * Day and time; only the time if it is today.
 * @param {string} at
 */
export function momentOf(at) {
    const date = new Date(at);
    const day = daysAgo(date) === 1 ? say({ en: "yesterday", ru: "вчера" }) : dayOf(at);
    return daysAgo(date) === 0 ? timeOf(at) : `${day}, ${timeOf(at)}`;
}

/** @param {string} at */
export function fullTimeOf(at) {
    return formatted({ dateStyle: "long", timeStyle: "medium" }, new Date(at));
}

/**
 * Today, yesterday, or the date.
 * @param {string} at
 */
export function dayOf(at) {
    const date = new Date(at);
    if (daysAgo(date) === 0) return say({ en: "Today", ru: "Сегодня" });
    if (daysAgo(date) === 1) return say({ en: "Yesterday", ru: "Вчера" });
    const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
    return formatted({ weekday: year ? undefined : "long", day: "numeric", month: "long", year }, date);
}

/** @param {Date} date */
function daysAgo(date) {
    return Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);
}

/** @param {Date} date */
function midnight(date) {
    return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/**
 * A duration, to the second: 3 h 05 min 09 s.
 * @param {number} ms
 */
export function duration(ms) {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    const [h, min, s] = say({ en: ["h", "min", "s"], ru: ["ч", "мин", "с"] });
    const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor(seconds / 60) % 60;
    if (hours) return `${hours} ${h} ${two(minutes)} ${min} ${two(seconds % 60)} ${s}`;
    return minutes ? `${minutes} ${min} ${two(seconds % 60)} ${s}` : `${seconds} ${s}`;
}

/**
 * How far off a clock is.
 * @param {number} minutes
 */
export function offBy(minutes) {
    const n = Math.abs(minutes) < 90 ? Math.abs(minutes) : Math.round(Math.abs(minutes) / 60);
    const hours = Math.abs(minutes) >= 90;
    return `${n} ${plural(n, say(hours
        ? { en: { one: "hour", other: "hours" }, ru: { one: "час", few: "часа", other: "часов" } }
        : { en: { one: "minute", other: "minutes" }, ru: { one: "минуту", few: "минуты", other: "минут" } }))}`;
}
