/** What kind of phone this is. */
import { say } from "./lang.js";

const AGENT = navigator.userAgent;

export function isIos() {
    // An iPad claims to be a Mac.
    return /iPhone|iPad|iPod/.test(AGENT) || (/Macintosh/.test(AGENT) && navigator.maxTouchPoints > 1);
}

export function isAndroid() {
    return /Android/.test(AGENT);
}

/** Whether the app was opened from the home screen. */
export function isInstalled() {
    return Boolean(navigator.standalone) || matchMedia("(display-mode: standalone)").matches;
}

/** The platform's name in the protocol. */
export function platform() {
    return isIos() ? "web-ios" : isAndroid() ? "web-android" : "web-desktop";
}

/** A default name for the phone, which the person may change. */
export function suggestedName() {
    /** @type {[RegExp, string][]} */
    const browsers = [[/YaBrowser/, "Yandex"], [/Firefox|FxiOS/, "Firefox"], [/Edg/, "Edge"], [/Chrome|CriOS/, "Chrome"], [/Safari/, "Safari"]];
    /** @type {[RegExp, string][]} */
    const systems = [[/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS/, "Mac"], [/Linux/, "Linux"]];
    const found = [browsers, systems].map((names) => names.find(([sign]) => sign.test(AGENT))?.[1]);
    return found.filter(Boolean).join(", ") || say({ en: "Browser", ru: "Браузер" });
}
