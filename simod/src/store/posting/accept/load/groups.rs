//! Members of groups, including those of groups within, and all people of a client.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Question, read_list};
use crate::store::{
    ClientNo, EmployeeNo, GroupNo, Result,
    db::engine::{
        Conn,
        Kind::{Text, Whole},
        Row, query, query_as,
    },
    directory::groups::within,
    posting::audience::People,
};
use roaring::RoaringBitmap;

/// The groups that questions name: by client and slug.
pub(in crate::store::posting::accept) async fn group_nos(
    tx: &mut Conn,
    questions: &[Question<'_>],
) -> Result<HashMap<(ClientNo, String), GroupNo>> {
    let mut names = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(recipients.groups.iter().map(|slug| (question.client_no, slug)));
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names = names.into_iter().map(|(client_no, slug)| [client_no.into(), slug.into()]);
    let rows: Vec<(ClientNo, String, GroupNo)> = query_as(
        "select g.client_no, g.slug, g.no from {rows} cross join \"group\" g
         where g.client_no = {client} and g.slug = {slug} and g.archived_at is null",
    )
    .over([("client", Whole), ("slug", Text)], names)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(client_no, slug, no)| ((client_no, slug), no)).collect())
}

/// For each group, which of these employees are in it or in a group within: for grants, when only named employees
/// matter.
pub(in crate::store::posting::accept) async fn groups_of(
    tx: &mut Conn,
    employees: &HashSet<(ClientNo, EmployeeNo)>,
) -> Result<HashMap<(ClientNo, GroupNo), Arc<RoaringBitmap>>> {
    let employees = employees.iter().map(|(client_no, no)| [client_no.into(), no.into()]);
    let rows = query(
        "with recursive around(client_no, group_no, employee_no) as (
             select m.client_no, m.group_no, m.employee_no
             from {rows} cross join group_member m where m.client_no = {client} and m.employee_no = {employee}
             union select i.client_no, i.group_no, around.employee_no from around
             cross join group_inclusion i on i.client_no = around.client_no and i.included_no = around.group_no
             cross join \"group\" g on g.client_no = around.client_no and g.no = around.group_no
             where g.archived_at is null)
         select client_no, group_no, employee_no from around",
    )
    .over([("client", Whole), ("employee", Whole)], employees)
    .fetch_all(tx)
    .await?;
    let mut groups: HashMap<(ClientNo, GroupNo), RoaringBitmap> = HashMap::new();
    for row in rows {
        groups.entry((row.try_get(0)?, row.try_get(1)?)).or_default().insert(row.try_get(2)?);
    }
    Ok(groups.into_iter().map(|(group, members)| (group, Arc::new(members))).collect())
}

/// The sets of [`read_people`].
macro_rules! people {
    ($from:literal, $which:literal) => {
        concat!(
            "select string_agg(cast(e.no as text), ','),
                string_agg(case when e.blocked_at is not null then cast(e.no as text) end, ','),
                string_agg(case when e.devices = 0 then cast(e.no as text) end, ',')
             from ",
            $from,
            " where e.client_no = $1 and e.archived_at is null and ",
            $which
        )
    };
}

/// Up to this many employees are looked up one by one; for more, all of the client's are scanned.
const FEW: u64 = 2_000;

/// Whole groups, each loaded once.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Groups {
    /// Direct members of each, and the groups within.
    own: HashMap<(ClientNo, GroupNo), Own>,
    /// All members of each.
    whole: HashMap<(ClientNo, GroupNo), Arc<People>>,
}

/// Direct members of a group, and the groups within.
#[derive(Debug, Default)]
struct Own {
    people: People,
    within: Vec<GroupNo>,
}

impl Groups {
    /// Loads groups and all within them; known ones stay.
    ///
    /// Members and employees are read separately, each in their own order, and merged here: a join would seek an
    /// employee for each member, which takes several times as long.
    pub(in crate::store::posting::accept) async fn load(
        &mut self,
        tx: &mut Conn,
        client_no: ClientNo,
        groups: impl Iterator<Item = GroupNo>,
    ) -> Result<()> {
        let missing: HashSet<GroupNo> =
            groups.filter(|group| !self.own.contains_key(&(client_no, *group))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // The sets come as one text each: a row per member would be ten times slower. Each is a query of its own, or
        // SQLite would sort all members by their groups.
        let rows = query(concat!(
            within!("$1", "select {group} from {rows}"),
            "select within.no, (select string_agg(cast(m.employee_no as text), ',') from group_member m
                     where m.client_no = $1 and m.group_no = within.no), null as included_no
             from within
             union all
             select i.group_no, null, i.included_no from within
             cross join group_inclusion i on i.client_no = $1 and i.group_no = within.no
             cross join \"group\" g on g.client_no = $1 and g.no = i.included_no
             where g.archived_at is null"
        ))
        .bind(client_no)
        .each(("group", Whole), missing)
        .fetch_all(tx)
        .await?;
        let mut members = Vec::new();
        for row in rows {
            let (group, included): (GroupNo, Option<GroupNo>) = (row.try_get(0)?, row.try_get(2)?);
            match included {
                Some(included) => {
                    let own = self.own.entry((client_no, group)).or_default();
                    own.within.push(included);
                }
                None => members.push((group, read_set(&row, 1)?)),
            }
        }
        let all = members.iter().fold(RoaringBitmap::new(), |all, (_, members)| all | members);
        let living = living(tx, client_no, &all).await?;
        for (group, members) in members {
            self.own.entry((client_no, group)).or_default().people = living.among(&members);
        }
        Ok(())
    }

    /// All members of a loaded group.
    pub(in crate::store::posting::accept) fn people(
        &mut self,
        client_no: ClientNo,
        group: GroupNo,
    ) -> Arc<People> {
        if let Some(people) = self.whole.get(&(client_no, group)) {
            return people.clone();
        }
        // A group's direct members are needed only here, and once.
        let Own { mut people, within } =
            self.own.get_mut(&(client_no, group)).map(std::mem::take).unwrap_or_default();
        for included in within {
            people.join(&self.people(client_no, included));
        }
        let people = Arc::new(people);
        self.whole.insert((client_no, group), people.clone());
        people
    }
}

/// Those of these people who are not archived, and possibly others.
async fn living(tx: &mut Conn, client_no: ClientNo, members: &RoaringBitmap) -> Result<People> {
    if members.is_empty() {
        return Ok(People::default());
    }
    if members.len() > FEW {
        return everyone(tx, client_no).await;
    }
    let row = query(people!("{rows} cross join employee e", "e.no = {no}"))
        .bind(client_no)
        .each(("no", Whole), members)
        .fetch_one(tx)
        .await?;
    read_people(&row)
}

/// Everyone of one client: one scan of a narrow index.
pub(in crate::store::posting::accept) async fn everyone(
    tx: &mut Conn,
    client_no: ClientNo,
) -> Result<People> {
    let row = query(people!("employee e indexed by employee_audience", "true"))
        .bind(client_no)
        .fetch_one(tx)
        .await?;
    read_people(&row)
}

fn read_people(row: &Row) -> Result<People> {
    Ok(People { members: read_set(row, 0)?, blocked: read_set(row, 1)?, without_device: read_set(row, 2)? })
}

/// The numbers of employees, as `string_agg` writes them.
fn read_set(row: &Row, column: usize) -> Result<RoaringBitmap> {
    let text: Option<String> = row.try_get(column)?;
    read_list(text.as_deref(), |number| number.parse::<u32>().ok())
}
