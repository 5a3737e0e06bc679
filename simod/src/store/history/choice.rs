//! The set a query allows: everything, only some values, or all but some.

use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice<T> {
    Only(BTreeSet<T>),
    Except(BTreeSet<T>),
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self::Except(BTreeSet::new())
    }
}

impl<T: Ord> Choice<T> {
    /// Narrows it to `values`, or with `negated` to all others.
    pub(super) fn narrow(&mut self, negated: bool, values: impl IntoIterator<Item = T>) {
        let values: BTreeSet<T> = values.into_iter().collect();
        *self = match (std::mem::take(self), negated) {
            (Self::Only(old), false) => Self::Only(old.into_iter().filter(|v| values.contains(v)).collect()),
            (Self::Only(old), true) => Self::Only(old.into_iter().filter(|v| !values.contains(v)).collect()),
            (Self::Except(old), false) => {
                Self::Only(values.into_iter().filter(|v| !old.contains(v)).collect())
            }
            (Self::Except(old), true) => Self::Except(old.into_iter().chain(values).collect()),
        };
    }

    /// The only wanted values, where they are listed.
    pub(super) fn only(&self) -> Option<&BTreeSet<T>> {
        match self {
            Self::Only(values) => Some(values),
            Self::Except(_) => None,
        }
    }

    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::Except(values) if values.is_empty())
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(values) if values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_stays_when_every_step_leaves_it(steps: Vec<(bool, BTreeSet<u8>)>, value: u8) {
            let mut choice = Choice::default();
            for (negated, values) in &steps {
                choice.narrow(*negated, values.iter().copied());
            }
            let stays = match &choice {
                Choice::Only(values) => values.contains(&value),
                Choice::Except(values) => !values.contains(&value),
            };
            prop_assert_eq!(stays, steps.iter().all(|(negated, values)| values.contains(&value) != *negated));
        }
    }
}
