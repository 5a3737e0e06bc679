//! From what was posted to who receives it.

pub(super) mod accept;
pub(super) mod audience;
pub(super) mod expand;
