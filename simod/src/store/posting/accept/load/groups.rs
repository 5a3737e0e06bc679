//! Who is in which group, with those in groups that are in it, and who is there at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use roaring::RoaringBitmap;
use uuid::Uuid;

use super::{Question, read_list, topics::Holder};
use crate::store::{
    Result,
    db::{
        engine::{Conn, Row, query, query_as},
        rows_as_json::{hex, json},
    },
    directory::groups::within,
    posting::audience::People,
};

/// The groups that questions name: by client and slug.
pub(in crate::store::posting::accept) async fn group_ids(
    tx: &mut Conn,
    questions: &[Question<'_>],
) -> Result<HashMap<(Uuid, String), Uuid>> {
    let mut names = HashSet::new();
    for question in questions {
        let Some(recipients) = question.recipients else {
            continue;
        };
        names.extend(recipients.groups.iter().map(|slug| (hex(question.client_id), slug)));
    }
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<_> = names.into_iter().collect();
    let rows: Vec<(Uuid, String, Uuid)> = query_as(
        "select g.client_id, g.slug, g.id from jsonb_each($1) j cross join \"group\" g
         where g.client_id = unhex(j.value->>0) and g.slug = j.value->>1 and g.archived_at is null",
    )
    .bind(json(&names))
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(client_id, slug, id)| ((client_id, slug), id)).collect())
}

/// Of each group, which of these employees are in it or in a group within: for grants, when only named employees matter.
pub(in crate::store::posting::accept) async fn groups_of(
    tx: &mut Conn,
    employees: &HashSet<(Uuid, Uuid, u32)>,
) -> Result<HashMap<(Uuid, Uuid), Arc<RoaringBitmap>>> {
    let rows: Vec<_> =
        employees.iter().map(|(client, id, ordinal)| (hex(*client), hex(*id), ordinal)).collect();
    let rows = query(
        "with recursive around(client_id, group_id, ordinal) as (
             select m.client_id, m.group_id, cast(j.value->>2 as integer)
             from jsonb_each($1) j cross join group_member m
             where m.client_id = unhex(j.value->>0) and m.employee_id = unhex(j.value->>1)
             union select i.client_id, i.group_id, around.ordinal from around
             cross join group_inclusion i on i.client_id = around.client_id and i.included_id = around.group_id
             cross join \"group\" g on g.client_id = around.client_id and g.id = around.group_id
             where g.archived_at is null)
         select client_id, group_id, ordinal from around",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?;
    let mut groups: HashMap<(Uuid, Uuid), RoaringBitmap> = HashMap::new();
    for row in rows {
        groups.entry((row.try_get(0)?, row.try_get(1)?)).or_default().insert(row.try_get(2)?);
    }
    Ok(groups.into_iter().map(|(group, members)| (group, Arc::new(members))).collect())
}

/// Of so few employees each is looked up; for more, everyone of the client is looked through.
const FEW: usize = 2_000;

/// Whole groups, each loaded once.
#[derive(Debug, Default)]
pub(in crate::store::posting::accept) struct Groups {
    /// Who is in each himself, and the groups within.
    own: HashMap<(Uuid, Uuid), Own>,
    /// Who is in each at all.
    whole: HashMap<(Uuid, Uuid), Arc<People>>,
}

/// Who is in a group himself, and the groups within.
#[derive(Debug, Default)]
struct Own {
    people: People,
    within: Vec<Uuid>,
}

impl Groups {
    /// Loads groups and all within; those that are known stay.
    ///
    /// Members and employees are read apart, each in their own order, and brought together here: a join would seek an
    /// employee for each member, which takes several times as long.
    pub(in crate::store::posting::accept) async fn load(
        &mut self,
        tx: &mut Conn,
        client_id: Uuid,
        groups: impl Iterator<Item = Uuid>,
    ) -> Result<()> {
        let missing: HashSet<Uuid> =
            groups.filter(|group| !self.own.contains_key(&(client_id, *group))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<_> = missing.into_iter().map(hex).collect();
        // The sets come as one text each: a row per member would be ten times slower. Each is a query of its own, or SQLite
        // would sort all members by their groups.
        let rows = query(concat!(
            within!("$1", "select unhex(atom) from jsonb_each($2)"),
            "select within.id, (select string_agg(hex(m.employee_id), ',') from group_member m
                     where m.client_id = $1 and m.group_id = within.id), null as included_id
             from within
             union all
             select i.group_id, null, i.included_id from within
             cross join group_inclusion i on i.client_id = $1 and i.group_id = within.id
             cross join \"group\" g on g.client_id = $1 and g.id = i.included_id
             where g.archived_at is null"
        ))
        .bind(client_id)
        .bind(json(&missing))
        .fetch_all(tx)
        .await?;
        let mut members: Vec<(Uuid, Vec<Uuid>)> = Vec::new();
        for row in rows {
            let (group, included): (Uuid, Option<Uuid>) = (row.try_get(0)?, row.try_get(2)?);
            match included {
                Some(included) => {
                    let own = self.own.entry((client_id, group)).or_default();
                    own.within.push(included);
                }
                None => members.push((group, read_ids(&row, 1)?)),
            }
        }
        let standings = standings(tx, client_id, &members).await?;
        for (group, members) in members {
            let people = &mut self.own.entry((client_id, group)).or_default().people;
            for member in members {
                if let Ok(place) = standings.binary_search_by_key(&member, |(id, _)| *id) {
                    let (_, standing) = standings[place];
                    people.add(standing.ordinal, standing.blocked, standing.has_device);
                }
            }
        }
        Ok(())
    }

    /// Everyone in a group that was loaded.
    pub(in crate::store::posting::accept) fn people(&mut self, client_id: Uuid, group: Uuid) -> Arc<People> {
        if let Some(people) = self.whole.get(&(client_id, group)) {
            return people.clone();
        }
        // Nobody asks for a group's own people but here, and once.
        let Own { mut people, within } =
            self.own.get_mut(&(client_id, group)).map(std::mem::take).unwrap_or_default();
        for included in within {
            people.join(&self.people(client_id, included));
        }
        let people = Arc::new(people);
        self.whole.insert((client_id, group), people.clone());
        people
    }
}

/// How the members of groups stand, in the order of their ids; archived ones are left out.
async fn standings(
    tx: &mut Conn,
    client_id: Uuid,
    members: &[(Uuid, Vec<Uuid>)],
) -> Result<Vec<(Uuid, Holder)>> {
    let members: Vec<_> = members.iter().flat_map(|(_, members)| members).copied().collect();
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let few = (members.len() <= FEW).then(|| members.iter().map(|id| hex(*id)).collect::<Vec<_>>());
    let (from, which) = match &few {
        Some(_) => ("jsonb_each($2) j cross join employee e", "e.id = unhex(j.atom)"),
        None => ("employee e indexed by employee_ordinal", "true"),
    };
    let standings = query(format!(
        "select string_agg(hex(e.id) || ' ' || cast(e.ordinal as text), ','),
                string_agg(case when e.blocked_at is not null then cast(e.ordinal as text) end, ','),
                string_agg(case when e.devices = 0 then cast(e.ordinal as text) end, ',')
         from {from} where e.client_id = $1 and {which} and e.archived_at is null"
    ))
    .bind(client_id);
    let standings = match few {
        Some(few) => standings.bind(json(&few)),
        None => standings,
    };
    let row = standings.fetch_one(tx).await?;
    let employees: Option<String> = row.try_get(0)?;
    let (blocked, without_device) = (read_set(&row, 1)?, read_set(&row, 2)?);
    let standing = |employee: &str| {
        let (id, ordinal) = employee.split_once(' ')?;
        let ordinal = ordinal.parse().ok()?;
        let holder = Holder {
            ordinal,
            blocked: blocked.contains(ordinal),
            has_device: !without_device.contains(ordinal),
        };
        Some((Uuid::try_parse(id).ok()?, holder))
    };
    let mut standings: Vec<_> = read_list(employees.as_deref(), standing)?;
    // Nearly so they come: people are numbered as they are added, and so are their ids.
    standings.sort_unstable_by_key(|(id, _)| *id);
    Ok(standings)
}

/// Everyone of one client: one scan of a narrow index.
pub(in crate::store::posting::accept) async fn everyone(tx: &mut Conn, client_id: Uuid) -> Result<People> {
    let row = query(
        "select string_agg(cast(ordinal as text), ','),
                string_agg(case when blocked_at is not null then cast(ordinal as text) end, ','),
                string_agg(case when devices = 0 then cast(ordinal as text) end, ',')
         from employee indexed by employee_ordinal where client_id = $1 and archived_at is null",
    )
    .bind(client_id)
    .fetch_one(tx)
    .await?;
    read_people(&row)
}

fn read_people(row: &Row) -> Result<People> {
    Ok(People { members: read_set(row, 0)?, blocked: read_set(row, 1)?, without_device: read_set(row, 2)? })
}

/// Ordinals, as `string_agg` writes them.
fn read_set(row: &Row, column: usize) -> Result<RoaringBitmap> {
    let text: Option<String> = row.try_get(column)?;
    read_list(text.as_deref(), |ordinal| ordinal.parse::<u32>().ok())
}

/// Ids, as `string_agg` writes them.
fn read_ids(row: &Row, column: usize) -> Result<Vec<Uuid>> {
    let text: Option<String> = row.try_get(column)?;
    read_list(text.as_deref(), |id| Uuid::try_parse(id).ok())
}
