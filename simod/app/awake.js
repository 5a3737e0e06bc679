/** Keeps the screen on while the page is visible; browsers release the lock whenever it is hidden. */

/**
 * @param {(held: boolean) => void} told
 * @returns {() => void} lets the screen go dark again
 */
export function stayAwake(told) {
    /** @type {WakeLockSentinel | null} */
    let lock = null;
    let ended = false;
    const hold = async () => {
        if (ended || document.visibilityState !== "visible" || (lock && !lock.released)) return;
        try {
            lock = await navigator.wakeLock.request("screen");
            told(true);
            if (ended) await lock.release();
        } catch {
            // There is no lock over http, and none with a low battery.
            told(false);
        }
    };
    document.addEventListener("visibilitychange", hold);
    void hold();
    return () => {
        ended = true;
        document.removeEventListener("visibilitychange", hold);
        lock?.release().catch(() => null);
    };
}
