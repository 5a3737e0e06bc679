//! Loads the rows that a batch's questions need, and calls [`audience::decide`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::load::{self, Groups, Holders, Named, Question, Topic, TopicName};
use crate::store::{
    ClientNo, GroupNo, Result, TopicNo,
    db::engine::Conn,
    posting::audience::{self, Access, Audience, Grant, LetIn, People, Target, TargetKind},
};
use roaring::RoaringBitmap;
use simo_common::{api::message::Recipients, message::Priority};

/// A decided audience and facts found on the way.
pub(in crate::store) struct Decided {
    pub(in crate::store) topic_no: Option<TopicNo>,
    /// The topic's default priority.
    pub(in crate::store) priority: Option<Priority>,
    /// The topic's default recipients.
    pub(in crate::store) usual: Option<Recipients>,
    pub(in crate::store) audience: Audience,
    pub(in crate::store) unknown: Vec<String>,
}

/// The rows that a batch's questions need, each loaded once.
struct Decisions {
    named: HashMap<(ClientNo, String), Named>,
    group_nos: HashMap<(ClientNo, String), GroupNo>,
    /// Whole groups, loaded when a question needs them.
    groups: Groups,
    /// Group memberships of named employees only.
    memberships: HashMap<(ClientNo, GroupNo), Arc<RoaringBitmap>>,
    /// Clients' people, loaded when a question needs them.
    everyone: HashMap<ClientNo, Arc<People>>,
}

/// Decides each question as of a moment; the error is the slug of a topic that does not exist.
pub(in crate::store) async fn audiences(
    tx: &mut Conn,
    questions: &[Question<'_>],
    now: i64,
) -> Result<Vec<std::result::Result<Decided, String>>> {
    let topics = load::topics(tx, questions, now).await?;
    // With the topic's default recipients where the message names none.
    let questions: Vec<(Question<'_>, Option<&Arc<Topic>>)> = questions
        .iter()
        .map(|question| {
            let topic = question.topic.and_then(|name| topics.get(&(question.client_no, name)));
            let usual = topic.and_then(|topic| topic.recipients.as_ref());
            let recipients = question.recipients.or(usual);
            (Question { recipients, ..*question }, topic)
        })
        .collect();
    let asked: Vec<Question<'_>> = questions.iter().map(|(question, _)| *question).collect();
    let mut rows = Decisions {
        named: load::named(tx, &asked).await?,
        group_nos: load::group_nos(tx, &asked).await?,
        groups: Groups::default(),
        memberships: HashMap::new(),
        everyone: HashMap::new(),
    };
    rows.load_memberships(tx, &questions).await?;
    let mut decided = Vec::with_capacity(questions.len());
    for (question, topic) in &questions {
        decided.push(match (question.topic, topic) {
            (Some(TopicName::Slug(slug)), None) => Err(slug.to_owned()),
            _ => Ok(rows.answer(tx, question, topic.map(|topic| &**topic)).await?),
        });
    }
    Ok(decided)
}

impl Decisions {
    /// Where a topic is granted to groups and only named employees matter, loading their memberships is cheaper than
    /// whole groups.
    async fn load_memberships(
        &mut self,
        tx: &mut Conn,
        questions: &[(Question<'_>, Option<&Arc<Topic>>)],
    ) -> Result<()> {
        let mut needed = HashSet::new();
        for (question, topic) in questions {
            let (Some(recipients), Some(topic)) = (question.recipients.filter(|r| names_only(r)), topic)
            else {
                continue;
            };
            if topic.grants.everyone || (topic.grants.groups.is_empty() && topic.dormant.groups.is_empty()) {
                continue;
            }
            for no in &recipients.employees {
                if let Some(named) = self.named.get(&(question.client_no, no.clone())) {
                    needed.insert((question.client_no, named.no));
                }
            }
        }
        if !needed.is_empty() {
            self.memberships = load::groups_of(tx, &needed).await?;
        }
        Ok(())
    }

    async fn answer(
        &mut self,
        tx: &mut Conn,
        question: &Question<'_>,
        topic: Option<&Topic>,
    ) -> Result<Decided> {
        let client_no = question.client_no;
        let named_only = question.recipients.is_some_and(names_only);
        self.load_groups(tx, question, topic.filter(|_| !named_only)).await?;
        let mut unknown = Vec::new();
        let targets = match question.recipients {
            Some(recipients) => self.targets(tx, client_no, recipients, &mut unknown).await?,
            None => self.holders(tx, client_no, topic).await?.into_iter().collect(),
        };
        let access = match topic {
            None => Access::Open,
            Some(topic) => Access::Granted {
                grants: self.grants(client_no, &topic.grants, named_only),
                at_other_times: match question.recipients {
                    Some(_) => self.at_other_times(tx, client_no, &topic.dormant, named_only).await?,
                    None => RoaringBitmap::new(),
                },
            },
        };
        Ok(Decided {
            topic_no: topic.map(|topic| topic.no),
            priority: topic.and_then(|topic| topic.priority),
            usual: topic.and_then(|topic| topic.recipients.clone()),
            audience: audience::decide(&targets, &access),
            unknown,
        })
    }

    /// The groups that a question addresses, and those that a topic is granted to.
    async fn load_groups(
        &mut self,
        tx: &mut Conn,
        question: &Question<'_>,
        topic: Option<&Topic>,
    ) -> Result<()> {
        let client_no = question.client_no;
        let named = question.recipients.iter().flat_map(|recipients| &recipients.groups);
        let named = named.filter_map(|slug| self.group_nos.get(&(client_no, slug.clone())));
        let mut needed: Vec<GroupNo> = named.copied().collect();
        if let Some(topic) = topic.filter(|topic| !topic.grants.everyone) {
            needed.extend(&topic.grants.groups);
        }
        // Different kinds of denial are only distinguished where they are stored.
        if let Some(topic) = topic.filter(|_| question.recipients.is_some()) {
            needed.extend(&topic.dormant.groups);
        }
        self.groups.load(tx, client_no, needed.into_iter()).await
    }

    async fn targets(
        &mut self,
        tx: &mut Conn,
        client_no: ClientNo,
        recipients: &Recipients,
        unknown: &mut Vec<String>,
    ) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(1);
        if !recipients.employees.is_empty() {
            let mut people = People::default();
            for no in &recipients.employees {
                match self.named.get(&(client_no, no.clone())) {
                    Some(named) => people.add(named.no, named.blocked, named.has_device),
                    None => unknown.push(no.clone()),
                }
            }
            targets.push(Target { kind: TargetKind::Employee, group_no: None, people: Arc::new(people) });
        }
        for slug in &recipients.groups {
            match self.group_nos.get(&(client_no, slug.clone())).copied() {
                Some(group_no) => {
                    targets.push(Target {
                        kind: TargetKind::Group,
                        group_no: Some(group_no),
                        people: self.groups.people(client_no, group_no),
                    });
                }
                None => unknown.push(slug.clone()),
            }
        }
        if recipients.everyone {
            let people = self.everyone(tx, client_no).await?;
            targets.push(Target { kind: TargetKind::Everyone, group_no: None, people });
        }
        unknown.sort();
        unknown.dedup();
        Ok(targets)
    }

    /// All holders of a grant for the topic, as one target: otherwise a thousand grants would each be compared with
    /// each other.
    async fn holders(
        &mut self,
        tx: &mut Conn,
        client_no: ClientNo,
        topic: Option<&Topic>,
    ) -> Result<Option<Target>> {
        let Some(topic) = topic else { return Ok(None) };
        let people = if topic.grants.everyone {
            self.everyone(tx, client_no).await?
        } else {
            let mut people = People::default();
            for group_no in &topic.grants.groups {
                people.join(&self.groups.people(client_no, *group_no));
            }
            for holder in &topic.grants.employees {
                people.add(holder.no, holder.blocked, holder.has_device);
            }
            Arc::new(people)
        };
        Ok(Some(Target { kind: TargetKind::Grant, group_no: None, people }))
    }

    /// Grants: to everyone, then to groups, then to employees.
    fn grants(&mut self, client_no: ClientNo, holders: &Holders, named_only: bool) -> Vec<Grant> {
        if holders.everyone {
            return vec![Grant { to: LetIn::Everyone, members: None }];
        }
        let mut grants = Vec::with_capacity(holders.groups.len() + holders.employees.len());
        for group_no in &holders.groups {
            let members = if named_only {
                self.memberships.get(&(client_no, *group_no)).cloned().unwrap_or_default()
            } else {
                Arc::new(self.groups.people(client_no, *group_no).members.clone())
            };
            grants.push(Grant { to: LetIn::Group(*group_no), members: Some(members) });
        }
        for holder in &holders.employees {
            let member = RoaringBitmap::from([holder.no.place()]);
            grants.push(Grant { to: LetIn::Own, members: Some(Arc::new(member)) });
        }
        grants
    }

    /// People with grants that are not in effect now.
    async fn at_other_times(
        &mut self,
        tx: &mut Conn,
        client_no: ClientNo,
        dormant: &Holders,
        named_only: bool,
    ) -> Result<RoaringBitmap> {
        if dormant.everyone {
            return Ok(self.everyone(tx, client_no).await?.members.clone());
        }
        let grants = self.grants(client_no, dormant, named_only);
        let members = grants.iter().filter_map(|grant| grant.members.as_deref());
        Ok(members.fold(RoaringBitmap::new(), |all, members| all | members))
    }

    async fn everyone(&mut self, tx: &mut Conn, client_no: ClientNo) -> Result<Arc<People>> {
        if let Some(people) = self.everyone.get(&client_no) {
            return Ok(people.clone());
        }
        let people = Arc::new(load::everyone(tx, client_no).await?);
        self.everyone.insert(client_no, people.clone());
        Ok(people)
    }
}

fn names_only(recipients: &Recipients) -> bool {
    recipients.groups.is_empty() && !recipients.everyone
}
