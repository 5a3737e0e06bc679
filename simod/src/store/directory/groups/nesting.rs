//! Groups within groups: who is in the included one is in the other one too.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet, VecDeque},
};

use simo_common::{lang::Text, text};
use uuid::Uuid;

use crate::store::directory::by_name::group_id;
use crate::store::{
    Error, Result, Store, Write,
    audit::Change,
    db::engine::{Conn, query, query_as, query_scalar},
};

/// The beginning of a statement over `within (id)`: the groups that `$roots` selects, and all that are in them. Of the
/// included ones those that are archived count for nothing.
macro_rules! within {
    ($client:literal, $roots:expr) => {
        concat!(
            "with recursive within(id) as (",
            $roots,
            " union select i.included_id from within
              cross join group_inclusion i on i.client_id = ",
            $client,
            " and i.group_id = within.id
              cross join \"group\" g on g.client_id = ",
            $client,
            " and g.id = i.included_id
              where g.archived_at is null) "
        )
    };
}
pub(in crate::store) use within;

/// A group that somebody is in, and how: the groups that lead from his own to it, by slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Belonging {
    pub(in crate::store) id: Uuid,
    /// His own group first, this one last.
    pub(in crate::store) path: Vec<String>,
}

impl Store {
    /// Puts a group into another one; it is no error when it is in it already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a group would contain itself; it names the loop.
    pub async fn include_group(&self, client_id: Uuid, slug: &str, included: &str) -> Result<()> {
        let mut tx = self.write().await?;
        // Two at once could close a loop that neither of them sees.
        let lock = tx.locked("client");
        query(format!("select 1 from client where id = $1{lock}"))
            .bind(client_id)
            .fetch_optional(&mut tx)
            .await?;
        let outer = group_id(&mut tx, client_id, slug).await?;
        let inner = group_id(&mut tx, client_id, included).await?;
        if let Some(path) = path(&mut tx, client_id, inner, outer).await? {
            return Err(Error::Conflict(loop_in_words(&path)));
        }
        let included_now = query(
            "insert into group_inclusion (client_id, group_id, included_id) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(client_id)
        .bind(outer)
        .bind(inner)
        .execute(&mut tx)
        .await?;
        if included_now.rows_affected() > 0 {
            let group = serde_json::json!({ "group": included });
            tx.record(client_id, Change::new("group.include", slug).after(&group));
        }
        tx.commit().await
    }

    /// Takes a group out of another one; it is no error when it is not in it.
    pub async fn exclude_group(&self, client_id: Uuid, slug: &str, included: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let outer = group_id(&mut tx, client_id, slug).await?;
        let inner: Option<Uuid> = query_scalar("select id from \"group\" where client_id = $1 and slug = $2")
            .bind(client_id)
            .bind(included)
            .fetch_optional(&mut tx)
            .await?;
        let inner = inner.ok_or_else(|| Error::not_found("group", included))?;
        let excluded =
            query("delete from group_inclusion where client_id = $1 and group_id = $2 and included_id = $3")
                .bind(client_id)
                .bind(outer)
                .bind(inner)
                .execute(&mut tx)
                .await?;
        if excluded.rows_affected() > 0 {
            let group = serde_json::json!({ "group": included });
            tx.record(client_id, Change::new("group.exclude", slug).before(&group));
        }
        tx.commit().await
    }
}

/// What is wrong with a loop of groups: each is in the one before, and the first in the last.
pub(in crate::store) fn loop_in_words<S: Borrow<str>>(way: &[S]) -> Text {
    let first = way.first().map_or("", Borrow::borrow);
    let names = way.join(" › ");
    if way.len() == 1 {
        text!("the group `{first}` cannot be in itself", "группа «{first}» не может входить в саму себя")
    } else {
        text!(
            "the group `{first}` would be in itself: {names} › {first}",
            "группа «{first}» вошла бы в саму себя: {names} › {first}"
        )
    }
}

/// The shortest way from a group down to another one, by slug, both included.
async fn path(tx: &mut Write, client_id: Uuid, from: Uuid, to: Uuid) -> Result<Option<Vec<String>>> {
    let edges: Vec<(Uuid, Uuid)> =
        query_as("select group_id, included_id from group_inclusion where client_id = $1")
            .bind(client_id)
            .fetch_all(tx)
            .await?;
    let mut below: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (outer, inner) in edges {
        below.entry(outer).or_default().push(inner);
    }
    let Some(ids) = shortest(&below, [from], to) else {
        return Ok(None);
    };
    let mut names = Vec::with_capacity(ids.len());
    for id in ids {
        let name = query_scalar("select slug from \"group\" where client_id = $1 and id = $2")
            .bind(client_id)
            .bind(id)
            .fetch_one(tx)
            .await?;
        names.push(name);
    }
    Ok(Some(names))
}

/// The shortest way from one of `starts` along `edges` to a goal, both included.
fn shortest(
    edges: &HashMap<Uuid, Vec<Uuid>>,
    starts: impl IntoIterator<Item = Uuid>,
    goal: Uuid,
) -> Option<Vec<Uuid>> {
    let mut ways: VecDeque<Vec<Uuid>> = starts.into_iter().map(|start| vec![start]).collect();
    let mut seen = HashSet::new();
    while let Some(way) = ways.pop_front() {
        let here = *way.last()?;
        if here == goal {
            return Some(way);
        }
        if seen.insert(here) {
            let next = edges.get(&here).into_iter().flatten();
            ways.extend(next.map(|next| [way.as_slice(), &[*next]].concat()));
        }
    }
    None
}

/// The groups that an employee is in, his own and all that these are in, by slug; archived ones count for nothing.
pub(in crate::store) async fn groups_around(
    conn: &mut Conn,
    client_id: Uuid,
    employee_id: Uuid,
) -> Result<Vec<Belonging>> {
    let own: Vec<Uuid> = query_scalar(
        "select m.group_id from group_member m
         join \"group\" g on g.client_id = m.client_id and g.id = m.group_id and g.archived_at is null
         where m.client_id = $1 and m.employee_id = $2 order by g.slug",
    )
    .bind(client_id)
    .bind(employee_id)
    .fetch_all(conn)
    .await?;
    let around: Vec<(Uuid, String, Option<Uuid>)> = query_as(
        "with recursive around(id) as (
             select group_id from group_member where client_id = $1 and employee_id = $2
             union select i.group_id from around
             cross join \"group\" g on g.client_id = $1 and g.id = around.id
             cross join group_inclusion i on i.client_id = $1 and i.included_id = around.id
             where g.archived_at is null)
         select g.id, g.slug, i.group_id from around
         cross join \"group\" g on g.client_id = $1 and g.id = around.id
         left join group_inclusion i on i.client_id = $1 and i.included_id = g.id
         where g.archived_at is null order by g.slug",
    )
    .bind(client_id)
    .bind(employee_id)
    .fetch_all(conn)
    .await?;
    let mut above: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    let mut slugs: HashMap<Uuid, &str> = HashMap::new();
    let mut ids = Vec::new();
    for (id, slug, outer) in &around {
        if slugs.insert(*id, slug).is_none() {
            ids.push(*id);
        }
        above.entry(*id).or_default().extend(outer);
    }
    for outer in above.values_mut() {
        outer.retain(|id| slugs.contains_key(id));
    }
    Ok(ids
        .into_iter()
        .filter_map(|id| {
            let way = shortest(&above, own.iter().copied(), id)?;
            let path = way.iter().map(|id| slugs[id].to_owned()).collect();
            Some(Belonging { id, path })
        })
        .collect())
}
