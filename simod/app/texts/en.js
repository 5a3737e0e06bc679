/** The sentences of the views in English; ru.js has the same. */
import { plural } from "../lang.js";

/** @param {number} n */
const seconds = (n) => `${n} ${plural(n, { one: "second", other: "seconds" })}`;
/** @param {number} n */
const messages = (n) => `${n} ${plural(n, { one: "message", other: "messages" })}`;

export const en = {
    // The frame
    nav: "Parts of the app",
    navMessages: "Messages",
    navRing: "Will it ring?",
    navDevices: "Phones",
    navSettings: "Settings",
    back: "Back",
    cancel: "Cancel",
    again: "Try again",
    close: "Close",
    loading: "One moment…",
    stillTrying: "SiMO does not answer yet, still trying…",
    unread: "unread",
    /** @param {string} title */
    arrived: (title) => `New message: ${title}`,
    /** @param {number} n */
    arrivedMany: (n) => `New: ${messages(n)}`,
    noSuch: "There is no such message here, or it has been deleted.",
    toMessages: "To the messages",
    broken: "A part of the app could not be loaded. Check the connection and try again.",
    unexpected: "Something went wrong in the app. Try again; what you have received is kept.",

    // Lines on top
    offline: "No connection to SiMO. Everything received is here; what you report is sent later.",
    replaced: "SiMO is open in another window: new messages come there at once, here a little later.",
    blocked: "An administrator has blocked you in SiMO: you get no messages until you are unblocked. Those received stay here.",
    /** @param {string} by @param {boolean} ahead */
    clock: (by, ahead) => `The clock of this phone is ${by} ${ahead ? "fast" : "slow"}: times here are wrong. Set date and time to automatic.`,
    notLasting: "This browser stores nothing (private window, or the disk is full): if you close the page, this phone has to be connected again. SiMO itself keeps your messages.",
    notLastingPair: "This browser stores nothing (private window, or the disk is full): the pairing would go with the page, and a code works once. Better open the link, or type the code, in a normal window.",
    insecure: "Opened without https, so the browser allows no notifications, no use without a network and no keeping the screen on: messages come only while this page is open.",
    silent: "This phone does not ring yet.",
    silentGo: "Find out why",

    // Pairing
    pairTitle: "Connect this phone",
    pairLead: "Scan the QR code of your invitation with the camera, open its link, or enter its code here.",
    pairLeadHome: "Tap “Paste” if you copied the code in Safari, or enter it here.",
    code: "Code of the invitation",
    codeHelp: "Ten characters, for example K7QD-M2XA-9F. Capital or small letters, with dashes or without.",
    paste: "Paste",
    pasteByHand: "The browser does not let the page read what you copied: hold the field and choose “Paste”.",
    go: "Continue",
    codeShort: "This is not a SiMO code: those have ten letters and digits. Compare it with the invitation.",
    codeCyrillic: "Codes have Latin letters and digits: switch the keyboard and type it again.",
    codeAlphabet: "Codes have no 0, 1, I, L or O: these are other characters that look like them. Compare it with the invitation.",
    codeWrong: "SiMO does not know this code. It may be mistyped, used already, or too old. Compare it with the invitation; if it is right, ask an administrator for a new one.",
    codeBlocked: "This code cannot be used now: the employee is blocked. Ask an administrator.",
    /** @param {number} n */
    codeTooMany: (n) => `Too many attempts came from your network. Wait ${seconds(n)} and try the same code again.`,
    codeOffline: "SiMO does not answer. Check the internet or Wi-Fi and try again: the code is still good.",
    otherCode: "Another code",
    /** @param {string} client @param {string} name */
    isItYou: (client, name) => `${client}: ${name}. Is that you?`,
    /** @param {string} old @param {string} fresh */
    replace: (old, fresh) => `This phone is already connected. Now: ${old}. Then: ${fresh}. The messages received so far are deleted here.`,
    phoneName: "Name of this phone",
    phoneNameHelp: "So that you can tell your phones apart.",
    yes: "Yes, connect",
    yesReplace: "Yes, connect instead",
    notMe: "No, that is not me",
    notMeSaid: "Nothing was done, and the code is still good. Give it to the person it is for, and ask for your own.",
    paired: "Connected.",
    pairedLead: "One step is left: let this phone ring.",
    turnOn: "Turn notifications on",
    later: "Later",
    on: "Notifications are on. Alarms now come even when SiMO is closed.",
    tryIt: "Test whether it rings",

    // Results of turning notifications on
    denied: "Notifications are forbidden for this page, and the browser will not ask again. Open the page's settings (the sign left of the address, or the system's settings of the app), allow notifications, and try again.",
    dismissed: "The browser's question was closed without an answer. Try again and choose “Allow”.",
    timeout: "The browser cannot reach its push service. On a network without the internet, or a phone without Google's services, another browser may help (Firefox). While SiMO is open, messages come anyway.",
    off: "Notifications of browsers are turned off on this SiMO server. Messages come while the app is open. An administrator can turn them on.",
    workerOff: "Notifications in the background are turned off on this SiMO server. Messages come while the app is open. An administrator can turn them on.",
    refused: "This SiMO server does not allow the push service that your browser uses. Tell an administrator; until then messages come while the app is open.",
    noWorker: "This browser cannot ring in the background (a private window, or an old browser): messages come while the page is open. Use a normal window of Chrome, Firefox, Edge or Safari.",
    noPush: "This browser has no notifications: messages come while the page is open. Use Chrome, Firefox, Edge, or on an iPhone iOS 16.4 and later.",
    installFirst: "On an iPhone only an app on the home screen may ring.",

    // iPhone
    iphoneTitle: "First onto the home screen",
    iphoneLead: "An iPhone lets only apps on the home screen ring. The code stays unused until you enter it there.",
    iphoneSteps: [
        "Copy the code.",
        "Tap the Share button (a square with an arrow) in Safari.",
        "Choose “Add to Home Screen”, then “Add”.",
        "Open SiMO from the home screen and tap “Paste”.",
    ],
    copy: "Copy the code",
    copied: "Copied",
    copyByHand: "Hold the code to copy it, or write it down.",

    // List
    list: "Messages",
    search: "Search",
    searchHelp: "Words, or topic:boiler priority:critical",
    unreadOnly: "Unread",
    openOnly: "Not acknowledged",
    allTopics: "All topics",
    topic: "Topic",
    filters: "Filters",
    empty: "No messages yet. They come here by themselves.",
    emptyFilter: "Nothing matches these filters.",
    emptySearch: "Nothing found.",
    showAll: "Show all",
    older: "Earlier messages are being fetched…",
    olderFailed: "Earlier messages are on the server and cannot be fetched now.",
    /** @param {number} n */
    found: (n) => `Found: ${messages(n)}.`,
    foundMost: "The newest 200 are shown: narrow the search.",
    foundHere: "No connection: only this phone was searched, for exactly these letters.",
    priority: { low: "not urgent", normal: "normal", high: "important", critical: "critical" },
    toAcknowledge: "to acknowledge",
    acknowledged: "acknowledged",
    over: "expired",
    pickOne: "Choose a message.",

    // Message
    from: "From",
    at: "Sent",
    until: "Valid until",
    data: "Data",
    noText: "No text.",
    partial: "Only the beginning is here; the rest comes when there is a connection.",
    acknowledge: "Acknowledge",
    ackAsked: "Acknowledge this message?",
    ackOver: "It has expired: there is nothing to acknowledge any more.",
    elsewhere: "on another phone",
    kinds: { delivered: "Received", read: "Read", acknowledged: "Acknowledged" },
    kept: "on this phone only",
    sent: "sent",
    notTaken: "SiMO did not take it",
    /** @param {string} at */
    stored: (at) => `SiMO has it (${at})`,
    receipts: "What SiMO knows",
    ackBlocked: "You are blocked: SiMO takes it when you are unblocked. Until then it stays on this phone.",

    // Will it ring?
    ring: "Will it ring?",
    checking: "Checking…",
    permissionOk: "Notifications are allowed.",
    permissionAsk: "Notifications have not been allowed yet.",
    subscriptionOk: "SiMO knows where to send to.",
    subscriptionNone: "This browser is not signed up for notifications.",
    subscriptionOther: "SiMO sends to an old address of this browser.",
    quarantined: "The push service said that this phone is gone. Turn notifications on again.",
    /** @param {string} at */
    lastPush: (at) => `The last notification came: ${at}.`,
    lastPushNone: "No notification has come to this phone yet.",
    test: "Send a test",
    testLead: "A message to your own phones, the way an alarm goes. Lock the screen and listen.",
    testWaiting: "On its way…",
    /** @param {string} s */
    testCame: (s) => `The notification came after ${s} s.`,
    testHeard: "No sound, nothing on the screen? Then the phone keeps it quiet: see below.",
    testLate: "Nothing came in 60 seconds. See below what to change, then try again.",
    testStream: "The message is in the list, but the notification has not come yet…",
    testSilent: "The message came only because SiMO is open. No notifications come here yet: first fix what is marked “!” above.",
    /** @param {number} n */
    testSoon: (n) => `You can test once in 30 seconds. Try again in ${seconds(n)}.`,
    advice: "So that it rings on this device",
    adviceOf: {
        android: [
            "Settings → Apps → your browser → Battery: “Unrestricted”. Phones of Xiaomi, Huawei, Samsung: allow autostart too.",
            "Do Not Disturb: add your browser to the apps that may interrupt.",
            "Settings → Apps → your browser → Notifications: SiMO's address has a sound of its own; turn it on.",
            "Chrome takes the permission from pages that are rarely opened: menu → Settings → Safety Hub. Open SiMO now and then.",
        ],
        androidFirefox: [
            "Settings → Apps → Firefox → Battery: “Unrestricted”, so that it may wake up.",
            "Do Not Disturb: add Firefox to the apps that may interrupt.",
            "Firefox from the app stores needs Google's services; Fennec and IronFox work with UnifiedPush instead.",
        ],
        ios: [
            "SiMO has to be on the home screen. Do not delete it there: the pairing goes with it.",
            "Settings → Focus: in every focus that you use, add SiMO to the allowed apps.",
            "Settings → Notifications → SiMO: sounds, lock screen and banners on.",
            "Switched off, the phone gets only the last notification later; all messages are in the list.",
        ],
        windows: [
            "Settings → System → Notifications: your browser on, “Do not disturb” off, or the browser among the priority apps.",
            "The browser must run: allow it to run in the background, and let it start with Windows.",
            "For a control room: leave the wall screen open, with sound.",
        ],
        mac: [
            "System Settings → Notifications → your browser: allow, with sounds. Check Focus.",
            "The browser must run; Safari rings without a window.",
        ],
        linux: [
            "The desktop's notifications: your browser on, “Do Not Disturb” off.",
            "The browser must run. For a control room: leave the wall screen open, with sound.",
        ],
    },

    // Phones
    devices: "Your phones",
    devicesLead: "All of them get your messages. Unpair one that you do not know or have lost.",
    thisPhone: "this phone",
    /** @param {string} at */
    pairedAt: (at) => `connected ${at}`,
    /** @param {string} at */
    seenAt: (at) => `last seen ${at}`,
    neverSeen: "not seen yet",
    unpair: "Unpair",
    /** @param {string} name */
    unpairAsk: (name) => `Unpair “${name}”? It will get no more messages, and those on it are deleted.`,
    channels: { webpush: "rings by browser", fcm: "rings", stream: "does not ring: messages come while SiMO is open" },
    addPhone: "Another phone needs an invitation of its own from an administrator.",

    // Settings
    settings: "Settings",
    language: "Language",
    employee: "Employee",
    client: "Client",
    personnelNo: "Personnel number",
    wall: "Wall screen",
    wallLead: "For a control room: what is not acknowledged, in big letters, with sound.",
    shared: "Several people share this screen: ask who acknowledges",
    wallOpen: "Open the wall screen",
    connection: "Connection",
    unpairThis: "Unpair this phone",
    unpairThisAsk: "Unpair this phone? Its messages are deleted here, and it will not ring any more. To connect it again you need a new invitation.",
    unpairBlocked: "You are blocked, so SiMO does not answer this phone. Delete everything here only? It stays in the list of phones until an administrator removes it.",
    unpairOffline: "To unpair, the phone has to reach SiMO. Try again when there is a connection, or have an administrator do it.",
    otherPairing: "Connect with another code",

    // Gone
    goneTitle: "This phone is not connected any more",
    goneLeft: "You have unpaired it. Messages, name and token were deleted here.",
    goneDead: "SiMO does not know this phone any more: it was unpaired, or you are not in SiMO any more. The messages here were deleted; SiMO keeps its own.",
    goneWay: "Ask an administrator for a new invitation if you need one.",

    // Wall
    wallTitle: "Not acknowledged",
    wallCalm: "Nothing to acknowledge now",
    wallMissed: "expired, not acknowledged here",
    wallSound: "Turn sound on",
    wallMute: "Turn sound off",
    wallNoLock: "The browser does not keep the screen lit: set it in the system's power settings.",
    wallOffline: "NO CONNECTION TO SiMO: new alarms do not come here",
    wallWho: "Who acknowledges?",
    wallName: "Name",
    wallLeave: "Leave the wall screen",
    /** @param {string} by */
    wallBy: (by) => `acknowledged by ${by}`,
};
