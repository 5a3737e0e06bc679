//! Phones: how they come, the channels that lead to them, and how they go.

pub(super) mod channel_address;
pub(super) mod devices;
pub(super) mod invites;
pub(super) mod pairing;
pub(super) mod retire_device;
pub(super) mod unreachable_phones;
