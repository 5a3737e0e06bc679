//! The web app as simod serves it, nested under a path, in real browsers.

mod daily_use;
mod front;
mod in_chromium;
mod in_firefox;
mod in_trouble;
mod screens;
mod site;
