/**
 * Loads a part of the app on demand; if the server no longer has it, `again.js` reloads the page.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {() => void} [before] what to do before the page is reloaded
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
