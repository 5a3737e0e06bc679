/** Calls to the server. */
import { noteClock } from "./clock.js";
import { read } from "./db.js";
import { forget } from "./forget.js";
import { lang, say } from "./lang.js";

/** The API's address; the app may be nested under a path. */
const API = new URL("../api/v1", new URL("./", location.href)).href;

/** Milliseconds for an answer. */
const ANSWERED_WITHIN = 10_000;

/** An error, in words for the person. */
export class Problem extends Error {
    /**
     * @param {string} code
     * @param {string} text
     * @param {{status?: number, hint?: string, field?: string, retryAfter?: number}} [more]
     */
    constructor(code, text, more = {}) {
        super(text);
        this.code = code;
        this.status = more.status ?? 0;
        this.hint = more.hint ?? "";
        this.field = more.field ?? "";
        /** Seconds; 0 if the server did not say. */
        this.retryAfter = more.retryAfter ?? 0;
    }
}

/**
 * The headers of a call as this phone.
 * @param {string} [token]
 * @returns {Record<string, string>}
 */
export function headers(token) {
    return { "Accept-Language": lang(), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

/**
 * The address of an API route.
 * @param {string} path
 */
export function apiUrl(path) {
    return API + path;
}

/**
 * Calls the server as this phone, if it is paired.
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, within?: number, as?: string}} [more] `as`: a token other than the current pairing's
 * @returns {Promise<any>} its answer
 * @throws {Problem}
 */
export async function call(method, path, { body, within = ANSWERED_WITHIN, as } = {}) {
    const token = as ?? (await read("device"))?.token;
    const aborted = new AbortController();
    const timer = setTimeout(() => aborted.abort(), within);
    try {
        const json = body === undefined ? undefined : JSON.stringify(body);
        const response = await fetch(apiUrl(path), {
            method,
            headers: { ...headers(token), ...(json ? { "Content-Type": "application/json" } : null) },
            body: json,
            signal: aborted.signal,
            cache: "no-store",
            credentials: "omit",
            redirect: "error",
            // A receipt must survive the page that wrote it; browsers limit such requests to 64 KiB.
            keepalive: json !== undefined && json.length < 30_000,
        });
        const text = response.status === 204 ? "" : await response.text();
        if (!response.ok) throw problem(response, text);
        const answer = text ? JSON.parse(text) : null;
        noteClock(response);
        return answer;
    } catch (error) {
        const said = error instanceof Problem ? error : unanswered(error, aborted.signal.aborted);
        if (said.code === "unauthenticated" && token) await forget("dead", token);
        throw said;
    } finally {
        clearTimeout(timer);
    }
}

/**
 * @param {unknown} error
 * @param {boolean} late
 */
function unanswered(error, late) {
    if (error instanceof SyntaxError) return notOurs(200);
    return late
        ? new Problem("timeout", say({
            en: "The server does not answer. What you have received is kept.",
            ru: "Сервер не отвечает. Всё полученное сохранено.",
        }))
        : new Problem("offline", say({
            en: "There is no connection to the server. What you have received is kept.",
            ru: "Нет связи с сервером. Всё полученное сохранено.",
        }));
}

/** @param {number} status */
function notOurs(status) {
    return new Problem("html", say({
        en: "The server that answered is not SiMO: a proxy, or the sign-in page of a Wi-Fi network. Sign in there or leave that network, and try again.",
        ru: "Ответил не SiMO: прокси-сервер или страница входа в сеть Wi-Fi. Войдите в сеть или отключитесь от неё и повторите.",
    }), { status });
}

/**
 * @param {Response} response
 * @param {string} text
 */
export function problem(response, text) {
    try {
        const { code, detail, hint, errors } = JSON.parse(text);
        if (typeof code !== "string") return notOurs(response.status);
        const field = errors?.[0];
        return new Problem(code, sentence(field?.detail ?? detail ?? code), {
            status: response.status,
            hint: sentence(hint ?? ""),
            field: field?.field,
            retryAfter: Number(response.headers.get("Retry-After")) || 0,
        });
    } catch {
        // Only simod's own 401 ends a pairing, not a proxy's.
        return notOurs(response.status === 401 ? 502 : response.status);
    }
}

/**
 * Makes a sentence of the server's text, unless it begins with a name or code that must stay as it is.
 * @param {string} text
 */
function sentence(text) {
    const first = /^\p{L}+(?=[ ,])/u.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
    return /[\p{L}\p{N}»)`]$/u.test(first) ? `${first}.` : first;
}
