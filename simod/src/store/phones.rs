//! Phones: pairing, the channels that lead to them, and retiring.

pub(super) mod channel_address;
pub(super) mod devices;
pub(super) mod invites;
mod known_addresses;
pub(super) mod own;
pub(super) mod pairing;
pub(super) mod retire_device;
pub(super) mod unreachable_phones;
pub(super) mod web_origin;
