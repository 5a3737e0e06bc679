//! Groups and their members.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use simo_common::{
    api::{
        people::Person,
        site::{SiteAction, SiteEmployee, SiteGroup, SiteKind},
    },
    people::may_be_one_person,
    text,
};

use super::{
    super::live::{Employee, Group},
    draft::{Draft, entries},
};
use crate::store::directory::{groups::loop_in_words, import::doubt};

/// The groups that will not be archived, by slug.
pub(super) type Groups = BTreeMap<String, Group>;

/// The employees who will not be archived.
pub(super) type Employees = BTreeMap<String, Employee>;

const GROUP: (&str, &str) = ("group", "группы");
const EMPLOYEE: (&str, &str) = ("employee", "сотрудника");

impl Draft<'_> {
    pub(super) fn groups(&mut self) -> Groups {
        let live = self.live.map(|live| &live.groups);
        let list = self.wanted.groups.as_deref();
        let path = format!("{}.groups", self.path);
        let wanted = entries(self.out, &path, ".slug", list.unwrap_or_default(), |group| &group.slug);
        let mut after = Groups::new();
        for (slug, group) in live.into_iter().flatten() {
            let goes = self.prune && list.is_some() && !wanted.contains_key(slug.as_str());
            if group.archived {
                continue;
            }
            if goes {
                self.plan.groups_gone.push(group.no);
                self.note(SiteAction::Archive, SiteKind::Group, slug, Some(&group.is), None);
            } else {
                after.insert(slug.clone(), group.is.clone());
            }
        }
        for (slug, (_, group)) in &wanted {
            let before = live.and_then(|live| live.get(*slug));
            let mut is = before.map_or_else(
                || Group { name: (*slug).to_owned(), ..Group::default() },
                |before| before.is.clone(),
            );
            if let Some(name) = &group.name {
                is.name.clone_from(name);
            }
            after.insert((*slug).to_owned(), is);
        }
        let here: BTreeSet<String> = after.keys().cloned().collect();
        for group in after.values_mut() {
            group.includes.retain(|inner| here.contains(inner));
        }
        self.inclusions(&path, &wanted, &mut after);
        for slug in wanted.keys() {
            let before = live.and_then(|live| live.get(*slug));
            let is = &after[*slug];
            let none = BTreeSet::new();
            let had = before.map_or(&none, |before| &before.is.includes);
            for inner in is.includes.difference(had) {
                self.plan.inclusions.push(((*slug).to_owned(), inner.clone()));
            }
            for inner in had.difference(&is.includes) {
                self.plan.inclusions_gone.push(((*slug).to_owned(), inner.clone()));
            }
            let action = match before {
                None => SiteAction::Create,
                Some(before) if before.archived => SiteAction::Restore,
                Some(before) if before.is != *is => SiteAction::Change,
                Some(_) => continue,
            };
            self.plan.groups.push(((*slug).to_owned(), is.name.clone()));
            self.note(action, SiteKind::Group, slug, before.map(|before| &before.is), Some(is));
        }
        after
    }

    /// Sets what groups include, and finds unknown names and loops.
    fn inclusions(&mut self, path: &str, wanted: &BTreeMap<&str, (usize, &SiteGroup)>, after: &mut Groups) {
        for (slug, (place, group)) in wanted {
            let Some(includes) = &group.includes else {
                continue;
            };
            let path = format!("{path}[{place}].includes");
            let mut named = BTreeSet::new();
            for (inner, (place, _)) in entries(self.out, &path, "", includes, |inner| inner) {
                if after.contains_key(inner) {
                    named.insert(inner.to_owned());
                } else {
                    self.out.missing(format!("{path}[{place}]"), GROUP, inner, after.keys());
                }
            }
            if let Some(group) = after.get_mut(*slug) {
                group.includes = named;
            }
        }
        let edges = after.iter();
        let edges = edges.map(|(slug, group)| (slug.as_str(), &group.includes)).collect();
        for way in loops(&edges) {
            // The loop is reported at a place of the site that closes it.
            let place = way.iter().enumerate().find_map(|(at, outer)| {
                let inner = way[(at + 1) % way.len()];
                let (place, group) = wanted.get(outer)?;
                let included = group.includes.as_ref()?.iter().position(|slug| slug == inner)?;
                Some(format!("{path}[{place}].includes[{included}]"))
            });
            let place = place.unwrap_or_else(|| path.to_owned());
            self.out.wrong(place, loop_in_words(&way));
        }
    }

    pub(super) fn employees(&mut self, groups: &Groups) -> Employees {
        let live = self.live.map(|live| &live.employees);
        let list = self.wanted.employees.as_deref();
        let path = format!("{}.employees", self.path);
        let wanted =
            entries(self.out, &path, ".personnel_no", list.unwrap_or_default(), |one| &one.personnel_no);
        let mut after = Employees::new();
        for (no, employee) in live.into_iter().flatten() {
            if employee.archived {
                continue;
            }
            if self.prune && list.is_some() && !wanted.contains_key(no.as_str()) {
                self.plan.people_gone.push(employee.no);
                self.note(SiteAction::Archive, SiteKind::Employee, no, Some(&employee.is), None);
            } else {
                after.insert(no.clone(), staying(&employee.is, groups));
            }
        }
        for (no, (place, one)) in &wanted {
            let path = format!("{path}[{place}]");
            let before = live.and_then(|live| live.get(*no)).map(|before| {
                let mut is = staying(&before.is, groups);
                if before.archived {
                    // Their groups have to be named anew.
                    is.groups.clear();
                }
                is
            });
            let employee = self.employee(&path, one, before, groups);
            after.insert((*no).to_owned(), employee);
        }
        self.members(&wanted, &mut after);
        for (no, employee) in &after {
            let before = live.and_then(|live| live.get(no));
            let succeeds = self.plan.succeeded.contains(no);
            let kept = before.filter(|_| !succeeds).map(|before| &before.is);
            let none = BTreeSet::new();
            let had = kept.map_or(&none, |before| &before.groups);
            for slug in employee.groups.difference(had) {
                self.plan.members.push((no.clone(), slug.clone()));
            }
            for slug in had.difference(&employee.groups) {
                self.plan.members_gone.push((no.clone(), slug.clone()));
            }
            let action = match before {
                None => SiteAction::Create,
                Some(_) if succeeds => SiteAction::Succeed,
                Some(before) if before.archived => SiteAction::Restore,
                Some(before) if before.is != *employee => SiteAction::Change,
                Some(_) => continue,
            };
            if let Some(before) = before.filter(|_| !succeeds) {
                match (before.is.blocked, employee.blocked) {
                    (false, true) => self.plan.people_blocked.push(before.no),
                    (true, false) => self.plan.people_unblocked.push(before.no),
                    _ => {}
                }
            }
            let people = match action {
                SiteAction::Create | SiteAction::Succeed => &mut self.plan.people_made,
                _ => &mut self.plan.people_changed,
            };
            people.push((no.clone(), employee.clone()));
            let before = before.map(|before| &before.is);
            self.note(action, SiteKind::Employee, no, before, Some(employee));
        }
        after
    }

    /// A wanted employee, except for groups that name them.
    fn employee(
        &mut self,
        path: &str,
        one: &SiteEmployee,
        mut before: Option<Employee>,
        groups: &Groups,
    ) -> Employee {
        if let (Some(known), Some(name)) = (&before, &one.full_name)
            && !may_be_one_person(&known.full_name, name)
        {
            match one.person {
                Some(Person::Same) => {}
                Some(Person::New) => {
                    self.plan.succeeded.push(one.personnel_no.clone());
                    before = None;
                }
                None => {
                    let text = doubt(&one.personnel_no, &known.full_name, name);
                    self.out.wrong(format!("{path}.person"), text);
                }
            }
        }
        if before.is_none() && one.full_name.is_none() {
            self.out.wrong(
                format!("{path}.full_name"),
                text!("a new employee needs one", "новому сотруднику оно нужно"),
            );
        }
        let mut employee = before.unwrap_or_default();
        if let Some(name) = &one.full_name {
            employee.full_name.clone_from(name);
        }
        for (field, wanted) in [
            (&mut employee.email, &one.email),
            (&mut employee.phone, &one.phone),
            (&mut employee.locale, &one.locale),
            (&mut employee.timezone, &one.timezone),
        ] {
            if let Some(text) = wanted {
                *field = Some(text.clone()).filter(|text| !text.is_empty());
            }
        }
        employee.blocked = one.blocked.unwrap_or(employee.blocked);
        if let Some(slugs) = &one.groups {
            employee.groups.clear();
            for (slug, (place, _)) in entries(self.out, &format!("{path}.groups"), "", slugs, |slug| slug) {
                if groups.contains_key(slug) {
                    employee.groups.insert(slug.to_owned());
                } else {
                    let field = format!("{path}.groups[{place}]");
                    self.out.missing(field, GROUP, slug, groups.keys());
                }
            }
        }
        employee
    }

    /// Adds the employees that groups name, and removes all others. An employee who names their own groups must not be
    /// contradicted.
    fn members(&mut self, wanted: &BTreeMap<&str, (usize, &SiteEmployee)>, after: &mut Employees) {
        let Some(groups) = &self.wanted.groups else {
            return;
        };
        let mut in_group: HashMap<&str, Vec<String>> = HashMap::new();
        for group in groups.iter().filter(|group| group.members.is_some()) {
            in_group.insert(&group.slug, Vec::new());
        }
        for (no, employee) in &*after {
            for slug in &employee.groups {
                if let Some(numbers) = in_group.get_mut(slug.as_str()) {
                    numbers.push(no.clone());
                }
            }
        }
        let decides = |no: &str| wanted.get(no).is_some_and(|(_, one)| one.groups.is_some());
        for (place, group) in groups.iter().enumerate() {
            let (slug, Some(members)) = (&group.slug, &group.members) else {
                continue;
            };
            let path = format!("{}.groups[{place}].members", self.path);
            let named = entries(self.out, &path, "", members, |no| no);
            for (no, (place, _)) in &named {
                let field = format!("{path}[{place}]");
                if !after.contains_key(*no) {
                    self.out.missing(field, EMPLOYEE, no, after.keys());
                } else if let Some(employee) = after.get_mut(*no)
                    && !employee.groups.contains(slug)
                {
                    if decides(no) {
                        self.out.wrong(
                            field,
                            text!(
                                "`{no}` is not a member: their own `groups` do not name `{slug}`",
                                "«{no}» не входит в группу: в его `groups` нет «{slug}»"
                            ),
                        );
                    } else {
                        employee.groups.insert(slug.clone());
                    }
                }
            }
            for no in in_group.remove(slug.as_str()).unwrap_or_default() {
                if named.contains_key(no.as_str()) {
                    continue;
                }
                if decides(&no) {
                    self.out.wrong(
                        path.clone(),
                        text!(
                            "`{no}` is missing, whose own `groups` name `{slug}`",
                            "нет «{no}», в чьих `groups` есть «{slug}»"
                        ),
                    );
                } else if let Some(employee) = after.get_mut(&no) {
                    employee.groups.remove(slug);
                }
            }
        }
    }
}

/// An employee without the groups that are removed.
fn staying(employee: &Employee, groups: &Groups) -> Employee {
    let mut employee = employee.clone();
    employee.groups.retain(|slug| groups.contains_key(slug));
    employee
}

/// Loops, one for each cluster of groups that contain each other: the names along it.
fn loops<'a>(edges: &BTreeMap<&'a str, &'a BTreeSet<String>>) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut done: HashSet<&str> = HashSet::new();
    for start in edges.keys() {
        let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
        let inner = |slug: &str| -> Vec<&'a str> {
            edges.get(slug).map(|inner| inner.iter().map(String::as_str).collect()).unwrap_or_default()
        };
        if done.insert(start) {
            way.push((start, inner(start)));
        }
        while let Some((_, rest)) = way.last_mut() {
            let Some(next) = rest.pop() else {
                way.pop();
                continue;
            };
            if let Some(at) = way.iter().position(|(slug, _)| *slug == next) {
                found.push(way[at..].iter().map(|(slug, _)| *slug).collect());
            } else if done.insert(next) {
                way.push((next, inner(next)));
            }
        }
    }
    found
}
