/** Keeps the screen on while the page is visible; browsers release the lock whenever the page is hidden. */

/**
 * @param {(held: boolean) => void} told
 * @returns {() => void} releases the lock
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
            // Browsers refuse the lock over http and with a low battery.
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
