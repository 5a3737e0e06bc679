//! The promises of SiMO, kept by the real daemon: one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics where it stands"
)]

mod durability;
mod stand_in;
