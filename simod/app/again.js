/**
 * After an update the server no longer has the folder that an open page loads from: the page is loaded again, once, and then names
 * the new folder. This script lies outside the folders, under a fixed name, because all else may be missing.
 */
"use strict";

/**
 * @param {() => void} [before] what to do before the page is loaded again
 * @returns {boolean} whether that may help
 */
function loadAgain(before = () => {}) {
    try {
        const last = Number(sessionStorage.getItem("reloaded"));
        // A minute later it may help once more.
        if (!navigator.onLine || Date.now() - last < 60_000) return false;
        sessionStorage.setItem("reloaded", String(Date.now()));
    } catch {
        // A browser that keeps nothing may load it again for ever.
        return false;
    }
    before();
    location.reload();
    return true;
}

addEventListener("error", ({ target }) => {
    if (target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) loadAgain();
}, true);
