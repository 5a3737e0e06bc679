//! One notation, on both engines, for the rows that a statement takes: in its text `{rows}` stands for them, `{name}`
//! for the value of one, `{#}` for its place, from 0.

use serde::{Serialize, Serializer};
use simo_common::hex::hex;
use uuid::Uuid;

use super::{Engine, Value};

/// Types of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Bytes,
    Text,
    Whole,
    Truth,
}

/// A column of rows, by its name in the text.
pub(crate) type Named = (&'static str, Kind);

/// Rows prepared ahead of the statements that run over them.
#[derive(Debug, Clone)]
pub(crate) struct RowSet {
    pub(super) columns: Vec<Named>,
    pub(super) json: String,
    count: u64,
}

impl RowSet {
    pub(crate) fn new<'v, const N: usize>(
        columns: [Named; N],
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Self {
        let rows: Vec<_> = rows.into_iter().collect();
        // Strings and numbers always serialise.
        let json = serde_json::to_string(&rows.iter().map(<[_; N]>::as_slice).collect::<Vec<_>>());
        Self { columns: columns.into(), json: json.unwrap_or_default(), count: rows.len() as u64 }
    }

    /// Rows of one column.
    pub(crate) fn of<'v, V: Into<Value<'v>>>(column: Named, values: impl IntoIterator<Item = V>) -> Self {
        Self::new([column], values.into_iter().map(|value| [value.into()]))
    }

    #[cfg(test)]
    pub(crate) fn read(&self) -> serde_json::Value {
        serde_json::from_str(&self.json).unwrap()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

/// A text over rows that arrive as one JSON text, in the parameter `number`.
pub(super) fn of_json(text: &str, engine: Engine, columns: &[Named], number: usize) -> String {
    match engine {
        Engine::Sqlite => {
            fill(text, columns, &format!("jsonb_each(${number}) j"), "j.key", |place, kind| match kind {
                Kind::Id | Kind::Bytes => format!("unhex(j.value->>{place})"),
                Kind::Text | Kind::Whole | Kind::Truth => format!("(j.value->>{place})"),
            })
        }
        Engine::Postgres => {
            let rows = format!("jsonb_array_elements(${number}::jsonb) with ordinality as j(value, key)");
            fill(text, columns, &rows, "(j.key - 1)", |place, kind| match kind {
                Kind::Id => format!("(j.value->>{place})::uuid"),
                Kind::Bytes => format!("decode(j.value->>{place}, 'hex')"),
                Kind::Text => format!("(j.value->>{place})"),
                Kind::Whole => format!("(j.value->>{place})::bigint"),
                Kind::Truth => format!("(j.value->>{place})::boolean"),
            })
        }
    }
}

/// Replaces the names in a text; braces around anything else stay.
pub(super) fn fill(
    text: &str,
    columns: &[Named],
    rows: &str,
    key: &str,
    value: impl Fn(usize, Kind) -> String,
) -> String {
    let stands = |name: &str| match name {
        "rows" => Some(rows.to_owned()),
        "#" => Some(key.to_owned()),
        _ => {
            let place = columns.iter().position(|(column, _)| *column == name)?;
            Some(value(place, columns[place].1))
        }
    };
    let mut pieces = text.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        if let Some((stands, rest)) =
            piece.split_once('}').and_then(|(name, rest)| Some((stands(name)?, rest)))
        {
            filled.push_str(&stands);
            filled.push_str(rest);
        } else {
            filled.push('{');
            filled.push_str(piece);
        }
    }
    filled
}

impl Serialize for Value<'_> {
    /// Ids and bytes as hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(value) => value.serialize(serializer),
            Self::Truth(value) => value.serialize(serializer),
            Self::Text(value) => value.serialize(serializer),
            Self::Bytes(value) => value.as_deref().map(hex).serialize(serializer),
            Self::Id(value) => value.map(Uuid::simple).serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::db::engine::{Conn, query},
        testing::Plant,
    };

    const ALL: [Named; 5] = [
        ("id", Kind::Id),
        ("hash", Kind::Bytes),
        ("name", Kind::Text),
        ("no", Kind::Whole),
        ("is", Kind::Truth),
    ];

    type Row = (Option<Uuid>, Option<Vec<u8>>, Option<String>, Option<i64>, Option<bool>);

    async fn given_back(conn: &mut Conn, rows: &[Row]) -> Vec<Row> {
        let given = rows
            .iter()
            .cloned()
            .map(|(id, hash, name, no, is)| [id.into(), hash.into(), name.into(), no.into(), is.into()]);
        let read = query("select {id}, {hash}, {name}, {no} + $1, {is} from {rows} order by {#} desc")
            .bind(1_i64)
            .over(ALL, given);
        read.read_as().fetch_all(conn).await.unwrap()
    }

    #[tokio::test]
    async fn values_of_every_kind_arrive_as_they_are() {
        let plant = Plant::new().await;
        let mut reader = plant.store.read().await.unwrap();
        assert_eq!(given_back(&mut reader, &[]).await, []);
        let text = |name: &str| Some(name.to_owned());
        let given = [
            (Some(Uuid::from_u128(7)), Some(vec![0, 255]), text("{no} \"7\" ж"), Some(1 << 60), Some(true)),
            (Some(Uuid::max()), Some(Vec::new()), text("0042"), Some(-8), Some(false)),
            (None, None, None, None, None),
        ];
        let mut back = given_back(&mut reader, &given).await;
        back.reverse();
        let expected = given.map(|(id, hash, name, no, is)| (id, hash, name, no.map(|no| no + 1), is));
        assert_eq!(back, expected);
    }

    #[test]
    fn a_text_is_made_for_each_engine() {
        let text = "select {#}, '{}', {others} from {rows} where id = {id} and hash = {hash} and {is}";
        assert_eq!(
            of_json(text, Engine::Sqlite, &ALL, 2),
            "select j.key, '{}', {others} from jsonb_each($2) j \
             where id = unhex(j.value->>0) and hash = unhex(j.value->>1) and (j.value->>4)"
        );
        assert_eq!(
            of_json(text, Engine::Postgres, &ALL, 2),
            "select (j.key - 1), '{}', {others} from jsonb_array_elements($2::jsonb) with ordinality as j(value, key) \
             where id = (j.value->>0)::uuid and hash = decode(j.value->>1, 'hex') and (j.value->>4)::boolean"
        );
    }
}
