//! What a `PATCH` says of a field that may be empty.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field left out stays, `null` empties it, and a value takes its place. Fields of this type are `default`, and skipped
/// when they stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Stay,
    /// It is empty from now on.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<T> Change<T> {
    /// Whether nothing is said of it.
    pub fn stays(&self) -> bool {
        matches!(self, Self::Stay)
    }

    /// What it is from now on, if it is anything.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Stay | Self::Clear => None,
        }
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// What the field is from now on.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        Option::deserialize(field).map(Self::from)
    }
}

impl<T: Serialize> Serialize for Change<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(to)
    }
}
