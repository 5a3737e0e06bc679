//! Callers: tokens and their limits, sessions, wrong codes.

pub(super) mod attempts;
pub(super) mod caller;
pub(super) mod limits;
pub(super) mod login;
pub(super) mod refused_posts;
pub(super) mod sessions;
pub(super) mod token_last_used;
pub(super) mod wrong_codes;
