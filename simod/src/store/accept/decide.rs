//! Loads what the questions of a batch need, and asks [`audience::decide`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use roaring::RoaringBitmap;
use simo_common::api::message::Recipients;
use uuid::Uuid;

use super::{
    Decided,
    load::{self, Named, Question, Topic, TopicName},
};
use crate::store::{
    Result, Write,
    audience::{self, Access, Grant, People, Target, TargetKind},
};

/// The rows that a batch's questions need, each loaded once.
struct Rows<'a> {
    topics: HashMap<(Uuid, TopicName<'a>), Arc<Topic>>,
    named: HashMap<(Uuid, String), Named>,
    group_ids: HashMap<(Uuid, String), Uuid>,
    /// Whole groups, loaded when a question needs them.
    groups: HashMap<(Uuid, Uuid), Arc<People>>,
    /// Of named employees only: who is in which group.
    memberships: HashMap<(Uuid, Uuid), Arc<RoaringBitmap>>,
    /// Clients, loaded when a question needs them.
    everyone: HashMap<Uuid, Arc<People>>,
}

/// Decides each question; the error is a topic's slug that does not exist.
pub(in crate::store) async fn audiences(
    tx: &mut Write,
    questions: &[Question<'_>],
) -> Result<Vec<std::result::Result<Decided, String>>> {
    let mut rows = Rows {
        topics: load::topics(tx, questions).await?,
        named: load::named(tx, questions).await?,
        group_ids: load::group_ids(tx, questions).await?,
        groups: HashMap::new(),
        memberships: HashMap::new(),
        everyone: HashMap::new(),
    };
    rows.load_memberships(tx, questions).await?;
    let mut decided = Vec::with_capacity(questions.len());
    for question in questions {
        decided.push(rows.answer(tx, question).await?);
    }
    Ok(decided)
}

impl<'a> Rows<'a> {
    fn topic(&self, question: &Question<'a>) -> Option<&Arc<Topic>> {
        self.topics.get(&(question.client_id, question.topic?))
    }

    /// Where a topic is granted to groups and only named employees matter, their memberships are cheaper than whole
    /// groups.
    async fn load_memberships(&mut self, tx: &mut Write, questions: &[Question<'a>]) -> Result<()> {
        let mut needed = HashSet::new();
        for question in questions {
            let Some(recipients) = question.recipients.filter(|r| names_only(r)) else {
                continue;
            };
            if self
                .topic(question)
                .is_none_or(|topic| topic.everyone.is_some() || topic.groups.is_empty())
            {
                continue;
            }
            for no in &recipients.employees {
                if let Some(named) = self.named.get(&(question.client_id, no.clone())) {
                    needed.insert((question.client_id, named.id, named.ordinal));
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
        tx: &mut Write,
        question: &Question<'a>,
    ) -> Result<std::result::Result<Decided, String>> {
        let topic = self.topic(question).cloned();
        if let (Some(TopicName::Slug(slug)), None) = (question.topic, &topic) {
            return Ok(Err(slug.to_owned()));
        }
        let mut unknown = Vec::new();
        let targets = match question.recipients {
            Some(recipients) => {
                self.targets(tx, question.client_id, recipients, &mut unknown)
                    .await?
            }
            None => self.holders(tx, question.client_id, topic.as_deref()).await?,
        };
        let access = match &topic {
            None => Access::Open,
            Some(topic) => {
                let named_only = question.recipients.is_some_and(names_only);
                Access::Granted(self.grants(tx, question.client_id, topic, named_only).await?)
            }
        };
        let audience = audience::decide(&targets, &access);
        Ok(Ok(Decided {
            topic_id: topic.map(|topic| topic.id),
            audience,
            unknown,
        }))
    }

    async fn targets(
        &mut self,
        tx: &mut Write,
        client_id: Uuid,
        recipients: &Recipients,
        unknown: &mut Vec<String>,
    ) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(1);
        if !recipients.employees.is_empty() {
            let mut people = People::default();
            for no in &recipients.employees {
                match self.named.get(&(client_id, no.clone())) {
                    Some(named) => {
                        people.members.insert(named.ordinal);
                        if named.blocked {
                            people.blocked.insert(named.ordinal);
                        }
                        if !named.has_device {
                            people.without_device.insert(named.ordinal);
                        }
                    }
                    None => unknown.push(no.clone()),
                }
            }
            targets.push(Target {
                kind: TargetKind::Employee,
                id: None,
                people: Arc::new(people),
            });
        }
        for slug in &recipients.groups {
            match self.group_ids.get(&(client_id, slug.clone())).copied() {
                Some(group_id) => {
                    let people = self.group(tx, client_id, group_id).await?;
                    targets.push(Target {
                        kind: TargetKind::Group,
                        id: Some(group_id),
                        people,
                    });
                }
                None => unknown.push(slug.clone()),
            }
        }
        if recipients.everyone {
            let people = self.everyone(tx, client_id).await?;
            targets.push(Target {
                kind: TargetKind::Everyone,
                id: None,
                people,
            });
        }
        unknown.sort();
        unknown.dedup();
        Ok(targets)
    }

    /// All who hold a grant for the topic.
    async fn holders(
        &mut self,
        tx: &mut Write,
        client_id: Uuid,
        topic: Option<&Topic>,
    ) -> Result<Vec<Target>> {
        let Some(topic) = topic else { return Ok(Vec::new()) };
        let target = |people| Target {
            kind: TargetKind::Grant,
            id: None,
            people,
        };
        if topic.everyone.is_some() {
            return Ok(vec![target(self.everyone(tx, client_id).await?)]);
        }
        let mut targets = Vec::new();
        for (_, group_id) in &topic.groups {
            targets.push(target(self.group(tx, client_id, *group_id).await?));
        }
        if !topic.employees.is_empty() {
            let all = self.everyone(tx, client_id).await?;
            let members: RoaringBitmap = topic.employees.iter().map(|(_, ordinal)| *ordinal).collect();
            targets.push(target(Arc::new(People {
                blocked: &members & &all.blocked,
                without_device: &members & &all.without_device,
                members,
            })));
        }
        Ok(targets)
    }

    /// The topic's grants: to everyone, then to groups, then to employees.
    async fn grants(
        &mut self,
        tx: &mut Write,
        client_id: Uuid,
        topic: &Topic,
        named_only: bool,
    ) -> Result<Vec<Grant>> {
        if let Some(id) = topic.everyone {
            return Ok(vec![Grant { id, members: None }]);
        }
        let mut grants = Vec::with_capacity(topic.groups.len() + topic.employees.len());
        for (id, group_id) in &topic.groups {
            let members = if named_only {
                self.memberships
                    .get(&(client_id, *group_id))
                    .cloned()
                    .unwrap_or_default()
            } else {
                Arc::new(self.group(tx, client_id, *group_id).await?.members.clone())
            };
            grants.push(Grant {
                id: *id,
                members: Some(members),
            });
        }
        for (id, ordinal) in &topic.employees {
            grants.push(Grant {
                id: *id,
                members: Some(Arc::new(RoaringBitmap::from([*ordinal]))),
            });
        }
        Ok(grants)
    }

    async fn group(&mut self, tx: &mut Write, client_id: Uuid, group_id: Uuid) -> Result<Arc<People>> {
        if let Some(people) = self.groups.get(&(client_id, group_id)) {
            return Ok(people.clone());
        }
        let people = Arc::new(load::group_people(tx, client_id, group_id).await?);
        self.groups.insert((client_id, group_id), people.clone());
        Ok(people)
    }

    async fn everyone(&mut self, tx: &mut Write, client_id: Uuid) -> Result<Arc<People>> {
        if let Some(people) = self.everyone.get(&client_id) {
            return Ok(people.clone());
        }
        let people = Arc::new(load::everyone(tx, client_id).await?);
        self.everyone.insert(client_id, people.clone());
        Ok(people)
    }
}

fn names_only(recipients: &Recipients) -> bool {
    recipients.groups.is_empty() && !recipients.everyone
}
