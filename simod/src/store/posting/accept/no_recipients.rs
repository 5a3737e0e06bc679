//! Why a message would reach no one, for its poster.

use std::collections::HashSet;

use simo_common::delivery::Reason;

use super::{Item, Nobody};
use crate::store::posting::audience::Part;

/// How many unknown names an answer lists.
const NAMED_UNKNOWN: usize = 100;

pub(super) fn reaches_nobody(item: &Item<'_>) -> Nobody {
    let draft = &item.incoming.draft;
    let blocked = |part: &&Part| part.closed.is_some_and(|(_, why)| why == Reason::Blocked);
    let recipients = draft.recipients.as_ref().or(item.usual.as_ref());
    let unknown: HashSet<&String> = item.unknown.iter().collect();
    let is_unknown = |name: &String| unknown.contains(name);
    let fields = recipients.into_iter().flat_map(|recipients| {
        let fields = [("employees", &recipients.employees), ("groups", &recipients.groups)];
        fields.into_iter().flat_map(|(field, names)| {
            names
                .iter()
                .enumerate()
                .filter(|(_, name)| is_unknown(name))
                .map(move |(place, name)| (format!("recipients.{field}[{place}]"), name.clone()))
        })
    });
    Nobody {
        counts: item.audience.counts(item.unknown.clone()),
        blocked: item.audience.parts.iter().filter(blocked).map(|part| part.members.len()).sum(),
        is_personal: draft.topic.is_none(),
        unknown: fields.take(NAMED_UNKNOWN).collect(),
    }
}
