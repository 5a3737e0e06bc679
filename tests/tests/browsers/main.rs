//! Browser tests: the harness itself, checked with a small page, and the web app.
#![allow(missing_docs, reason = "tests, not an interface")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod app;
mod chromium;
mod firefox;
mod page;
