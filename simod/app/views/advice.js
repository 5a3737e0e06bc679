/** System settings to change so that nothing silences notifications. */
import { isAndroid, isIos } from "../platform.js";
import { texts } from "../texts.js";

/** @returns {string[]} */
export function advice() {
    const { adviceOf } = texts();
    const agent = navigator.userAgent;
    if (isIos()) return adviceOf.ios;
    if (isAndroid()) return /Firefox/.test(agent) ? adviceOf.androidFirefox : adviceOf.android;
    if (/Windows/.test(agent)) return adviceOf.windows;
    return /Macintosh/.test(agent) ? adviceOf.mac : adviceOf.linux;
}
