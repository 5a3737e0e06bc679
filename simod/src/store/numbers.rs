//! The numbers by which rows refer to one another, each kind with its own type: small numbers of different kinds look
//! alike, and the wrong one would find another object's row.

use serde::{Deserialize, Serialize};
use sqlx::{ColumnIndex, postgres::PgRow, sqlite::SqliteRow};

use super::db::engine::{Column, Value};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(
                Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
            )]
            #[serde(transparent)]
            pub struct $name(pub i64);

            impl From<$name> for Value<'_> {
                fn from(number: $name) -> Self {
                    Self::Whole(Some(number.0))
                }
            }

            impl From<$name> for i64 {
                fn from(number: $name) -> Self {
                    number.0
                }
            }

            impl From<&$name> for Value<'_> {
                fn from(number: &$name) -> Self {
                    (*number).into()
                }
            }

            impl From<Option<$name>> for Value<'_> {
                fn from(number: Option<$name>) -> Self {
                    Self::Whole(number.map(|number| number.0))
                }
            }

            impl Column for $name {
                fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
                    i64::of_sqlite(row, index).map(Self)
                }

                fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
                    i64::of_postgres(row, index).map(Self)
                }
            }

            impl Column for Option<$name> {
                fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
                    Ok(Option::<i64>::of_sqlite(row, index)?.map($name))
                }

                fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
                    Ok(Option::<i64>::of_postgres(row, index)?.map($name))
                }
            }
        )*
    };
}

numbers! {
    /// A client.
    ClientNo,
    /// An ACS.
    AcsNo,
    /// An operator.
    OperatorNo,
    /// A token.
    TokenNo,
    /// A person, within the client: small, because audiences are sets of them.
    EmployeeNo,
    /// A group.
    GroupNo,
    /// A topic.
    TopicNo,
    /// A topic's grant.
    GrantNo,
    /// A phone.
    DeviceNo,
    /// Pairing codes that were made together.
    BatchNo,
    /// A message. Positive numbers ascend in order of acceptance; a scheduled message has a negative one.
    MessageNo,
}

impl ClientNo {
    /// None: for objects outside any client.
    pub const NONE: Self = Self(0);
}

impl From<u32> for EmployeeNo {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl EmployeeNo {
    /// Its value in sets of people.
    pub(super) fn place(self) -> u32 {
        self.0 as u32
    }
}

impl MessageNo {
    /// Stands for the next accepted message: its conditions are the present ones.
    pub(in crate::store) const NEXT: Self = Self(i64::MAX - 1);
}
