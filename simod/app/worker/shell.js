/** The app without a network: its files are cached, API answers never. */
import { PLACE } from "../events.js";
import { worker } from "./scope.js";

/** Of this SiMO only: the origin may host others. */
const CACHES = `${PLACE} `;
const CACHE = `${CACHES}{{HASH}}`;
const FOLDER = "v/{{HASH}}/";
const KEPT = /^v\/|^again\.js$/;
/** @type {string[]} */
const FILES = JSON.parse('{{FILES}}');

/** Milliseconds for the page before the cached one is shown. */
const PAGE_WITHIN = 3_000;

async function install() {
    const cache = await caches.open(CACHE);
    await cache.addAll(["./", "again.js", ...FILES.map((file) => FOLDER + file)]);
    await worker.skipWaiting();
}

async function activate() {
    for (const name of await caches.keys()) {
        if (name.startsWith(CACHES) && name !== CACHE) await caches.delete(name);
    }
    await worker.clients.claim();
}

/** The newest page, or the cached one. */
async function page() {
    const aborted = new AbortController();
    const timer = setTimeout(() => aborted.abort(), PAGE_WITHIN);
    try {
        const response = await fetch("./", { signal: aborted.signal });
        if (response.ok && response.headers.get("Content-Type")?.startsWith("text/html")) return response;
        throw new Error("not the page");
    } catch {
        return (await caches.match("./", { cacheName: CACHE })) ?? Response.error();
    } finally {
        clearTimeout(timer);
    }
}

/** @param {Request} request */
async function file(request) {
    return (await caches.match(request)) ?? fetch(request);
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
    const root = new URL("./", worker.location.href);
    const url = new URL(event.request.url);
    if (event.request.method !== "GET" || url.origin !== root.origin) return;
    if (event.request.mode === "navigate" && url.pathname === root.pathname) event.respondWith(page());
    else if (KEPT.test(url.pathname.slice(root.pathname.length))) event.respondWith(file(event.request));
});
