//! Codes: small numbers in the database; one enum names each kind.

use simo_common::delivery::{Outcome, Reason};
use sqlx::{ColumnIndex, postgres::PgRow, sqlite::SqliteRow};

use super::{
    db::engine::{Column, Value},
    feed::Happened,
    posting::audience::{LetIn, TargetKind},
    queue::{PushOutcome, close::HoldEnding},
};
use crate::channel::ChannelKind;

macro_rules! codes {
    ($($code:ty),* $(,)?) => {
        $(
            impl From<$code> for Value<'_> {
                fn from(code: $code) -> Self {
                    Self::Whole(Some(code.number()))
                }
            }

            impl From<Option<$code>> for Value<'_> {
                fn from(code: Option<$code>) -> Self {
                    Self::Whole(code.map(<$code>::number))
                }
            }

            impl Column for $code {
                fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
                    i64::of_sqlite(row, index).and_then(|number| known(<$code>::from_number(number), number))
                }

                fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
                    i64::of_postgres(row, index).and_then(|number| known(<$code>::from_number(number), number))
                }
            }

            impl Column for Option<$code> {
                fn of_sqlite(row: &SqliteRow, index: impl ColumnIndex<SqliteRow>) -> sqlx::Result<Self> {
                    let number = Option::<i64>::of_sqlite(row, index)?;
                    number.map(|number| known(<$code>::from_number(number), number)).transpose()
                }

                fn of_postgres(row: &PgRow, index: impl ColumnIndex<PgRow>) -> sqlx::Result<Self> {
                    let number = Option::<i64>::of_postgres(row, index)?;
                    number.map(|number| known(<$code>::from_number(number), number)).transpose()
                }
            }
        )*
    };
}

codes!(ChannelKind, Happened, HoldEnding, LetIn, Outcome, PushOutcome, Reason, TargetKind);

fn known<T>(code: Option<T>, number: i64) -> sqlx::Result<T> {
    code.ok_or_else(|| sqlx::Error::Decode(format!("nothing is known of the code {number}").into()))
}
