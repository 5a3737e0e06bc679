//! Computes a site's changes from the stored state: pure.

mod draft;
mod parties;
mod people;
#[cfg(test)]
mod tests;
mod tokens;
mod topics;

use std::collections::BTreeSet;

use simo_common::{
    api::{
        access::Grantee,
        site::{Site, SiteAction, SiteChange, SiteKind},
    },
    lang::Text,
    people::Role,
    text,
};

use self::draft::{Draft, Out, entries};
use super::live::{Employee, Live, Settings, Topic};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, GrantNo, GrantTerms, GroupNo, OperatorNo, TokenNo, TokenTerms, TopicNo,
};

/// What a site may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach {
    /// Removes objects missing from a list of their kind.
    pub prune: bool,
    /// Removes clients that are not named.
    pub prune_clients: bool,
    /// May create clients, and change their settings.
    pub clients: bool,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    /// For the report and the audit.
    pub(super) changes: Vec<SiteChange>,
    /// Owners to create or restore.
    pub(super) owners: Vec<String>,
    /// Owners to archive.
    pub(super) owners_gone: Vec<OperatorNo>,
    /// Clients with changes.
    pub(super) clients: Vec<ClientPlan>,
}

#[derive(Debug, Default)]
pub(super) struct ClientPlan {
    pub(super) slug: String,
    /// `None` for a client to be created.
    pub(super) client_no: Option<ClientNo>,
    /// Present if it is created, restored, or gets other settings.
    pub(super) settings: Option<Settings>,
    pub(super) archive: bool,
    /// Whether it is restored from the archive.
    pub(super) restore: bool,
    pub(super) operators: Vec<(String, Role)>,
    pub(super) operators_gone: Vec<OperatorNo>,
    pub(super) acs: Vec<String>,
    pub(super) acs_gone: Vec<AcsNo>,
    /// ACS and terms.
    pub(super) tokens: Vec<(String, TokenTerms)>,
    pub(super) tokens_gone: Vec<TokenNo>,
    /// Slug and name.
    pub(super) groups: Vec<(String, String)>,
    pub(super) groups_gone: Vec<GroupNo>,
    /// Outer and inner group.
    pub(super) inclusions: Vec<(String, String)>,
    pub(super) inclusions_gone: Vec<(String, String)>,
    /// Numbers that pass to other people.
    pub(super) succeeded: Vec<String>,
    pub(super) people_made: Vec<(String, Employee)>,
    pub(super) people_changed: Vec<(String, Employee)>,
    pub(super) people_gone: Vec<EmployeeNo>,
    /// Changed employees who become blocked.
    pub(super) people_blocked: Vec<EmployeeNo>,
    /// Changed employees who become unblocked.
    pub(super) people_unblocked: Vec<EmployeeNo>,
    /// Employee and group.
    pub(super) members: Vec<(String, String)>,
    pub(super) members_gone: Vec<(String, String)>,
    pub(super) topics: Vec<(String, Topic)>,
    pub(super) topics_gone: Vec<TopicNo>,
    pub(super) grants: Vec<(String, Grantee, GrantTerms)>,
    pub(super) grants_gone: Vec<GrantNo>,
}

impl Plan {
    /// Compares a site with the stored state.
    ///
    /// # Errors
    /// All mistakes of the site, each with its path.
    pub(super) fn new(site: &Site, live: &Live, reach: Reach) -> Result<Self, Vec<(String, Text)>> {
        let mut out = Out::default();
        let mut plan = Self::default();
        plan.owners(site, live, reach, &mut out);
        // A name given once cannot be given again.
        let mut taken: BTreeSet<String> = plan.owners.iter().cloned().collect();
        for (slug, wanted) in &site.clients {
            let draft = Draft::new(slug, wanted, live, reach, &mut out);
            plan.clients.extend(draft.plan(&mut taken));
        }
        if reach.prune_clients {
            plan.prune_clients(site, live, &mut out);
        }
        if !out.mistakes.is_empty() {
            return Err(out.mistakes);
        }
        plan.changes = out.changes;
        Ok(plan)
    }

    fn owners(&mut self, site: &Site, live: &Live, reach: Reach, out: &mut Out) {
        let Some(owners) = &site.owners else {
            return;
        };
        let wanted = entries(out, "owners", "", owners, |name| name);
        for (name, (place, _)) in &wanted {
            let action = match live.owners.get(*name) {
                Some(owner) if owner.archived => SiteAction::Restore,
                Some(_) => continue,
                None if live.operators.contains(*name) => {
                    out.wrong(format!("owners[{place}]"), name_taken(name));
                    continue;
                }
                None => SiteAction::Create,
            };
            self.owners.push((*name).to_owned());
            out.change::<()>(action, SiteKind::Operator, None, name, None, None);
        }
        if !reach.prune {
            return;
        }
        for (name, owner) in &live.owners {
            if !owner.archived && !wanted.contains_key(name.as_str()) {
                self.owners_gone.push(owner.no);
                out.change::<()>(SiteAction::Archive, SiteKind::Operator, None, name, None, None);
            }
        }
    }

    fn prune_clients(&mut self, site: &Site, live: &Live, out: &mut Out) {
        for (slug, client) in &live.clients {
            if client.archived || site.clients.contains_key(slug) {
                continue;
            }
            self.clients.push(ClientPlan {
                slug: slug.clone(),
                client_no: Some(client.client_no),
                archive: true,
                ..ClientPlan::default()
            });
            let before = Some(&client.settings);
            out.change(SiteAction::Archive, SiteKind::Client, Some(slug), slug, before, None);
        }
    }
}

/// Names are unique over all clients; the other operator's client is not disclosed.
fn name_taken(name: &str) -> Text {
    text!("the operator name `{name}` is taken", "имя оператора «{name}» занято")
}
