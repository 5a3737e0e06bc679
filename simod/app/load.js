/**
 * Loads a part of the app when it is needed; if the server no longer has it, `again.js` loads the page again.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {() => void} [before] what to do before the page is loaded again
 * @returns {Promise<T>}
 */
export async function loaded(load, before) {
    try {
        return await load();
    } catch (error) {
        if (!window.loadAgain(before)) throw error;
        return new Promise(() => {});
    }
}
