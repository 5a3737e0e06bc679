//! Fields of a `PATCH` that can be cleared.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An omitted field stays, `null` clears it, a value replaces it. Fields of this type must be `default`, and skipped when they
/// stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// Leaves the field as it is.
    #[default]
    Stay,
    /// Clears the field.
    Clear,
    /// Sets the field to this value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field was omitted.
    pub fn stays(&self) -> bool {
        matches!(self, Self::Stay)
    }

    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Stay | Self::Clear => None,
        }
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// Sets the value, or clears the field for `None`.
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
