//! Groups within groups: members of the included group are members of the outer one too.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet, VecDeque},
};

use simo_common::{lang::Text, text};

use crate::store::{
    ClientNo, EmployeeNo, Error, GroupNo, MessageNo, Result, Store, Write,
    audit::AuditChange,
    db::engine::{Conn, query, query_as, query_scalar},
    directory::by_name::group_no,
};

/// The beginning of a statement over `within (no)`: the groups that `$roots` selects, and all groups in them. Archived
/// included groups are ignored.
macro_rules! within {
    ($client:literal, $roots:expr) => {
        concat!(
            "with recursive within(no) as (",
            $roots,
            " union select i.included_no from within
              cross join group_inclusion i on i.client_no = ",
            $client,
            " and i.group_no = within.no
              cross join \"group\" g on g.client_no = ",
            $client,
            " and g.no = i.included_no
              where g.archived_at is null) "
        )
    };
}
pub(in crate::store) use within;

/// A group that an employee belongs to, and how: the path from their own group to it, by slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Belonging {
    pub(in crate::store) group_no: GroupNo,
    /// Their own group first, this one last.
    pub(in crate::store) path: Vec<String>,
}

impl Store {
    /// Includes a group in another one; it is no error if it is already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a group would contain itself; it names the loop.
    pub async fn include_group(&self, client_no: ClientNo, slug: &str, included: &str) -> Result<()> {
        let mut tx = self.write().await?;
        // Two concurrent inclusions could close a loop that neither of them sees.
        let lock = tx.locked("client");
        query(format!("select 1 from client where no = $1{lock}"))
            .bind(client_no)
            .fetch_optional(&mut tx)
            .await?;
        let outer = group_no(&mut tx, client_no, slug).await?;
        let inner = group_no(&mut tx, client_no, included).await?;
        if let Some(path) = path(&mut tx, client_no, inner, outer).await? {
            return Err(Error::Conflict(loop_in_words(&path)));
        }
        let included_now = query(
            "insert into group_inclusion (client_no, group_no, included_no) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(client_no)
        .bind(outer)
        .bind(inner)
        .execute(&mut tx)
        .await?;
        if included_now.rows_affected() > 0 {
            let group = serde_json::json!({ "group": included });
            tx.record(client_no, AuditChange::new("group.include", slug).after(&group));
        }
        tx.commit().await
    }

    /// Removes a group from another one; it is no error if it is not in it.
    pub async fn exclude_group(&self, client_no: ClientNo, slug: &str, included: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let outer = group_no(&mut tx, client_no, slug).await?;
        let inner: Option<GroupNo> =
            query_scalar("select no from \"group\" where client_no = $1 and slug = $2")
                .bind(client_no)
                .bind(included)
                .fetch_optional(&mut tx)
                .await?;
        let inner = inner.ok_or_else(|| Error::not_found("group", included))?;
        let excluded =
            query("delete from group_inclusion where client_no = $1 and group_no = $2 and included_no = $3")
                .bind(client_no)
                .bind(outer)
                .bind(inner)
                .execute(&mut tx)
                .await?;
        if excluded.rows_affected() > 0 {
            let group = serde_json::json!({ "group": included });
            tx.record(client_no, AuditChange::new("group.exclude", slug).before(&group));
        }
        tx.commit().await
    }
}

/// The error text for a loop of groups: each is in the one before, and the first in the last.
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

/// The shortest path from a group down to another one, by slug, both included.
async fn path(
    tx: &mut Write,
    client_no: ClientNo,
    from: GroupNo,
    to: GroupNo,
) -> Result<Option<Vec<String>>> {
    let edges: Vec<(GroupNo, GroupNo)> =
        query_as("select group_no, included_no from group_inclusion where client_no = $1")
            .bind(client_no)
            .fetch_all(tx)
            .await?;
    let mut below: HashMap<GroupNo, Vec<GroupNo>> = HashMap::new();
    for (outer, inner) in edges {
        below.entry(outer).or_default().push(inner);
    }
    let Some(way) = shortest(&below, [from], to) else {
        return Ok(None);
    };
    let mut names = Vec::with_capacity(way.len());
    for group_no in way {
        let name = query_scalar("select slug from \"group\" where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(group_no)
            .fetch_one(tx)
            .await?;
        names.push(name);
    }
    Ok(Some(names))
}

/// The shortest path from one of `starts` along `edges` to a goal, both included.
fn shortest(
    edges: &HashMap<GroupNo, Vec<GroupNo>>,
    starts: impl IntoIterator<Item = GroupNo>,
    goal: GroupNo,
) -> Option<Vec<GroupNo>> {
    let mut ways: VecDeque<Vec<GroupNo>> = starts.into_iter().map(|start| vec![start]).collect();
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

/// The groups that an employee was in when a message was accepted, directly or through other groups, by slug.
pub(in crate::store) async fn groups_around(
    conn: &mut Conn,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    then: MessageNo,
) -> Result<Vec<Belonging>> {
    let own: Vec<GroupNo> = query_scalar(
        "select m.group_no from group_member_period m
         join \"group\" g on g.client_no = m.client_no and g.no = m.group_no
         where m.client_no = $1 and m.employee_no = $2 and m.since_no <= $3 and m.until_no > $3 order by g.slug",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(then)
    .fetch_all(conn)
    .await?;
    let around: Vec<(GroupNo, String, Option<GroupNo>)> = query_as(
        "with recursive around(no) as (
             select group_no from group_member_period
             where client_no = $1 and employee_no = $2 and since_no <= $3 and until_no > $3
             union select i.group_no from around
             cross join group_inclusion_period i on i.client_no = $1 and i.included_no = around.no
             where i.since_no <= $3 and i.until_no > $3)
         select g.no, g.slug, i.group_no from around
         cross join \"group\" g on g.client_no = $1 and g.no = around.no
         left join group_inclusion_period i on i.client_no = $1 and i.included_no = g.no
             and i.since_no <= $3 and i.until_no > $3
         order by g.slug",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(then)
    .fetch_all(conn)
    .await?;
    let mut above: HashMap<GroupNo, Vec<GroupNo>> = HashMap::new();
    let mut slugs: HashMap<GroupNo, &str> = HashMap::new();
    let mut groups = Vec::new();
    for (group_no, slug, outer) in &around {
        if slugs.insert(*group_no, slug).is_none() {
            groups.push(*group_no);
        }
        above.entry(*group_no).or_default().extend(outer);
    }
    for outer in above.values_mut() {
        outer.retain(|group_no| slugs.contains_key(group_no));
    }
    Ok(groups
        .into_iter()
        .filter_map(|group_no| {
            let way = shortest(&above, own.iter().copied(), group_no)?;
            let path = way.iter().map(|group_no| slugs[group_no].to_owned()).collect();
            Some(Belonging { group_no, path })
        })
        .collect())
}
