//! Decides who receives a message: pure, over sets of employees.
//!
//! Employees are small numbers within their client (`employee.no`), sets of them are Roaring bitmaps. The same decision
//! serves a message to one person and one to a hundred thousand.

use std::sync::Arc;

use crate::store::{EmployeeNo, GroupNo};
use roaring::RoaringBitmap;
use simo_common::{
    api::message::RecipientCounts,
    delivery::{Outcome, Reason},
};

/// Employees of a group or client, without archived ones, and their relevant properties.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct People {
    /// All of them.
    pub members: RoaringBitmap,
    /// Those of them who are blocked.
    pub blocked: RoaringBitmap,
    /// Those of them who have no device.
    pub without_device: RoaringBitmap,
}

impl People {
    pub(in crate::store) fn join(&mut self, others: &Self) {
        self.members |= &others.members;
        self.blocked |= &others.blocked;
        self.without_device |= &others.without_device;
    }

    /// The subset that is among these.
    pub(in crate::store) fn among(&self, some: &RoaringBitmap) -> Self {
        Self {
            members: &self.members & some,
            blocked: &self.blocked & some,
            without_device: &self.without_device & some,
        }
    }

    pub(in crate::store) fn add(&mut self, employee_no: EmployeeNo, blocked: bool, has_device: bool) {
        let place = employee_no.place();
        self.members.insert(place);
        if blocked {
            self.blocked.insert(place);
        }
        if !has_device {
            self.without_device.insert(place);
        }
    }
}

/// The kind of recipient that a message was addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(in crate::store) enum TargetKind {
    /// Employees by personnel number.
    Employee = 1,
    Group = 2,
    /// Everyone of the client.
    Everyone = 3,
    /// The holders of the topic's grants.
    Grant = 4,
}

impl TargetKind {
    const ALL: [Self; 4] = [Self::Employee, Self::Group, Self::Everyone, Self::Grant];

    /// The stored number.
    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }

    /// The kind stored as `number`.
    pub(in crate::store) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its name in `explain`.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Group => "group",
            Self::Everyone => "everyone",
            Self::Grant => "grant",
        }
    }

    /// Whether denials are stored per person: for people who were named, or are in a named group.
    fn keeps_denials(self) -> bool {
        matches!(self, Self::Employee | Self::Group)
    }
}

#[derive(Debug, Clone)]
pub(in crate::store) struct Target {
    pub kind: TargetKind,
    /// The group.
    pub group_no: Option<GroupNo>,
    pub people: Arc<People>,
}

/// The holder of the grant that admits a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum LetIn {
    Everyone,
    Group(GroupNo),
    /// The employee's own.
    Own,
}

impl LetIn {
    /// The stored number.
    pub(in crate::store) fn number(self) -> i64 {
        match self {
            Self::Everyone => 0,
            Self::Group(group_no) => group_no.0,
            Self::Own => -1,
        }
    }

    /// The holder stored as `number`.
    #[expect(clippy::unnecessary_wraps, reason = "numbers of other codes may stand for nothing")]
    pub(in crate::store) fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Everyone,
            -1 => Self::Own,
            number => Self::Group(GroupNo(number)),
        })
    }
}

#[derive(Debug, Clone)]
pub(in crate::store) struct Grant {
    pub to: LetIn,
    /// People it admits; `None`: everyone.
    pub members: Option<Arc<RoaringBitmap>>,
}

/// The access rule of a message.
#[derive(Debug, Clone)]
pub(in crate::store) enum Access {
    /// A personal message: everyone who is named.
    Open,
    Granted {
        /// Those in effect now, the preferred reason first.
        grants: Vec<Grant>,
        /// People with grants at another time: distinguished from people without any.
        at_other_times: RoaringBitmap,
    },
}

/// Employees with the same reason for receiving a message, or for not receiving it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Part {
    /// How and why their deliveries end at once; `None`: they receive it.
    pub closed: Option<(Outcome, Reason)>,
    pub target: TargetKind,
    pub target_no: Option<GroupNo>,
    pub let_in: Option<LetIn>,
    pub members: RoaringBitmap,
}

/// The recipients of a message, in disjoint parts, and those who do not receive it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::store) struct Audience {
    pub parts: Vec<Part>,
    pub accepted: u64,
    pub without_device: u64,
    pub denied: u64,
}

impl Audience {
    /// How many deliveries it makes, denied ones included.
    pub(in crate::store) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.members.len()).sum()
    }

    /// Its recipient counts, for the answer.
    pub(in crate::store) fn counts(&self, unknown: Vec<String>) -> RecipientCounts {
        RecipientCounts {
            accepted: self.accepted,
            without_device: self.without_device,
            denied: self.denied,
            unknown,
            more_unknown: 0,
        }
    }
}

/// Decides who receives a message. For people in several targets the first one counts; of several grants the first.
pub(in crate::store) fn decide(targets: &[Target], access: &Access) -> Audience {
    let mut audience = Audience::default();
    let mut seen = RoaringBitmap::new();
    for target in targets {
        let part = |denied: Option<Reason>, let_in, members| Part {
            closed: denied.map(|why| (Outcome::Denied, why)),
            target: target.kind,
            target_no: target.group_no,
            let_in,
            members,
        };
        let mut rest = &target.people.members - &seen;
        seen |= &rest;
        let mut accepted = Vec::new();
        let mut denied = Vec::new();
        let blocked = &rest & &target.people.blocked;
        rest -= &blocked;
        match access {
            Access::Open => accepted.push(part(None, None, std::mem::take(&mut rest))),
            Access::Granted { grants, at_other_times } => {
                for grant in grants {
                    let let_in = match &grant.members {
                        None => std::mem::take(&mut rest),
                        Some(members) => {
                            let let_in = &rest & &**members;
                            rest -= &let_in;
                            let_in
                        }
                    };
                    accepted.push(part(None, Some(grant.to), let_in));
                }
                let too_early_or_late = &rest & at_other_times;
                rest -= &too_early_or_late;
                denied.push(part(Some(Reason::NotNow), None, too_early_or_late));
            }
        }
        denied.push(part(Some(Reason::Blocked), None, blocked));
        denied.push(part(Some(Reason::NoGrant), None, rest));
        for part in accepted.into_iter().filter(|part| !part.members.is_empty()) {
            audience.accepted += part.members.len();
            audience.without_device += part.members.intersection_len(&target.people.without_device);
            audience.parts.push(part);
        }
        for part in denied.into_iter().filter(|part| !part.members.is_empty()) {
            audience.denied += part.members.len();
            if target.kind.keeps_denials() {
                audience.parts.push(part);
            }
        }
    }
    audience
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(members: &[u32]) -> RoaringBitmap {
        members.iter().copied().collect()
    }

    fn people(members: &[u32], blocked: &[u32], without_device: &[u32]) -> Arc<People> {
        Arc::new(People { members: set(members), blocked: set(blocked), without_device: set(without_device) })
    }

    fn target(kind: TargetKind, people: Arc<People>) -> Target {
        Target { kind, group_no: None, people }
    }

    fn granted(grants: Vec<Grant>) -> Access {
        Access::Granted { grants, at_other_times: RoaringBitmap::new() }
    }

    fn grant(members: Option<&[u32]>) -> Grant {
        Grant { to: LetIn::Own, members: members.map(|members| Arc::new(set(members))) }
    }

    #[test]
    fn who_is_named_without_a_grant_is_denied_and_kept() {
        let audience = decide(
            &[target(TargetKind::Employee, people(&[1, 2], &[], &[1]))],
            &granted(vec![grant(Some(&[1]))]),
        );
        assert_eq!((audience.accepted, audience.without_device, audience.denied), (1, 1, 1));
        assert_eq!(audience.parts[1].closed, Some((Outcome::Denied, Reason::NoGrant)));
        assert_eq!(audience.rows(), 2);
    }

    #[test]
    fn whose_grant_counts_at_another_time_is_told_from_who_holds_none() {
        let access = Access::Granted { grants: vec![grant(Some(&[1]))], at_other_times: set(&[1, 2]) };
        let audience = decide(&[target(TargetKind::Employee, people(&[1, 2, 3], &[], &[]))], &access);
        let closed: Vec<_> = audience
            .parts
            .iter()
            .map(|part| (part.closed.map(|(_, reason)| reason), part.members.clone()))
            .collect();
        assert_eq!(
            closed,
            [(None, set(&[1])), (Some(Reason::NotNow), set(&[2])), (Some(Reason::NoGrant), set(&[3]))]
        );
    }

    #[test]
    fn of_everyone_only_the_number_of_denials_is_kept() {
        let audience = decide(
            &[target(TargetKind::Everyone, people(&[1, 2, 3], &[3], &[]))],
            &granted(vec![grant(Some(&[1]))]),
        );
        assert_eq!((audience.accepted, audience.denied, audience.rows()), (1, 2, 1));
    }

    #[test]
    fn a_blocked_person_receives_nothing_not_even_personally() {
        let audience = decide(&[target(TargetKind::Employee, people(&[1], &[1], &[]))], &Access::Open);
        assert_eq!(
            (audience.accepted, audience.parts[0].closed),
            (0, Some((Outcome::Denied, Reason::Blocked)))
        );
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_let_in_only_who_holds_a_grant(
            targets in prop::collection::vec((0..4_u8, prop::collection::vec(0..40_u32, 0..30)), 0..5),
            blocked in prop::collection::vec(0..40_u32, 0..10),
            grants in prop::collection::vec(prop::option::of(prop::collection::vec(0..40_u32, 0..20)), 0..4),
        ) {
            let kinds = [TargetKind::Employee, TargetKind::Group, TargetKind::Everyone, TargetKind::Grant];
            let blocked = set(&blocked);
            let targets: Vec<Target> = targets
                .iter()
                .map(|(kind, members)| target(kinds[usize::from(*kind)], {
                    let members = set(members);
                    Arc::new(People { blocked: &members & &blocked, members, without_device: set(&[]) })
                }))
                .collect();
            let grants: Vec<Grant> = grants.iter().map(|members| grant(members.as_deref())).collect();
            let audience = decide(&targets, &granted(grants.clone()));
            let mut seen = RoaringBitmap::new();
            for part in &audience.parts {
                prop_assert!(seen.is_disjoint(&part.members));
                seen |= &part.members;
                for person in &part.members {
                    let granted = grants.iter().any(|g| g.members.as_ref().is_none_or(|m| m.contains(person)));
                    match part.closed {
                        None => prop_assert!(granted && !blocked.contains(person)),
                        Some((_, Reason::Blocked)) => prop_assert!(blocked.contains(person)),
                        Some(_) => prop_assert!(!granted),
                    }
                }
            }
            let all = targets.iter().fold(RoaringBitmap::new(), |all, target| all | &target.people.members);
            prop_assert_eq!(audience.accepted + audience.denied, all.len());
        }
    }
}
