/**
 * After an update the server no longer has the folder from which an open page loads its files: then the page is reloaded
 * once, and gets the new folder's name. This script has a fixed name outside the folders, because everything else may be
 * missing.
 */
"use strict";

/**
 * @param {() => void} [before] what to do before the page is reloaded
 * @returns {boolean} whether the page is being reloaded
 */
function loadAgain(before = () => {}) {
    try {
        const last = Number(sessionStorage.getItem("reloaded"));
        // A minute later another try may help.
        if (!navigator.onLine || Date.now() - last < 60_000) return false;
        sessionStorage.setItem("reloaded", String(Date.now()));
    } catch {
        // A browser that stores nothing could reload it for ever.
        return false;
    }
    before();
    location.reload();
    return true;
}

addEventListener("error", ({ target }) => {
    if (target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) loadAgain();
}, true);
