//! The harness of browsers, proved with a page of its own, and the web app in them.
#![allow(missing_docs, reason = "tests, not an interface")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod app;
mod chromium;
mod firefox;
mod page;
