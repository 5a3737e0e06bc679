/** Back to the list: through the history if the person came from there, or the phone's own Back would go in circles. */

let fromList = false;

/** @param {string} before the address that was left */
export function cameFrom(before) {
    fromList = new URL(before).hash.length < 2;
}

export function toList() {
    if (fromList) history.back();
    else location.hash = "";
}
