/** The first module: removes an invitation's code from the address at once, and loads the app. */
import { loaded } from "./load.js";

const invited = /^#pair=(.+)/.exec(location.hash)?.[1] ?? "";
// The code must not stay in the history, in bookmarks, or on the screen.
if (invited) history.replaceState(null, "", "./");

const { start } = await loaded(
    () => import("./app.js"),
    () => invited && history.replaceState(null, "", `./#pair=${invited}`),
);
await start(invited);
