//! Shared by the tests and the load tool: the real daemon as a child process ([`Simod`]), stand-ins for Google's
//! endpoints ([`FakeFcm`]) and for push services ([`PushService`]), real browsers ([`browser`]), and helpers that set up a
//! client with employees, topics and phones ([`Plant`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness that cannot go on panics, so that the test fails where it stands"
)]

pub mod authority;
pub mod browser;
pub mod checker;
pub mod clock;
pub mod crowd;
pub mod database;
pub mod fcm;
pub mod load_balancer;
pub mod plant;
pub mod pooler;
pub mod postgres;
pub mod programs;
pub mod push_service;
pub mod raw;
pub mod simod;
mod skip;
pub mod wait;
pub mod wire;

pub use fcm::FakeFcm;
pub use plant::{Phone, Plant};
pub use push_service::PushService;
pub use simod::Simod;
pub use skip::skip;
pub use wait::eventually;
