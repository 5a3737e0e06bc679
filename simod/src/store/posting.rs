//! From posted messages to their recipients.

pub(super) mod accept;
pub(super) mod audience;
pub(super) mod expand;
