//! Requests, each in a task of its own.

use simo_common::{
    client::{Client, Connection, ListQuery, Result},
    lang::Lang,
};
use tokio::sync::mpsc::Sender;

use crate::{
    action::{Action, Failure, Load, Story},
    complete::Names,
    history::RowKey,
};

/// Asks the server on behalf of the model.
pub(crate) struct Fetch {
    connection: Connection,
    client: Client,
    actions: Sender<Action>,
}

impl Fetch {
    /// For this server, in this language.
    pub(crate) fn new(connection: Connection, lang: Lang, actions: Sender<Action>) -> Result<Self> {
        Ok(Self {
            client: connection.open(lang)?,
            connection,
            actions,
        })
    }

    /// Asks in this language from now on.
    pub(crate) fn speak(&mut self, lang: Lang) -> Result<()> {
        self.client = self.connection.open(lang)?;
        Ok(())
    }

    fn spawn<F>(&self, ask: impl FnOnce(Client) -> F)
    where
        F: Future<Output = Action> + Send + 'static,
    {
        let actions = self.actions.clone();
        let answer = ask(self.client.clone());
        tokio::spawn(async move {
            // Nobody listens any more once the operator has left.
            let _ = actions.send(answer.await).await;
        });
    }

    /// A page of history.
    pub(crate) fn page(&self, load: Load) {
        self.spawn(|client| async move {
            let list = ListQuery {
                query: Some(load.query).filter(|query| !query.is_empty()),
                limit: Some(load.limit),
                cursor: load.cursor,
                archived: false,
            };
            let page = client.deliveries(&list, load.sort).await;
            Action::Loaded(load.ticket, page.map_err(Failure::from))
        });
    }

    /// A delivery's story and its message.
    pub(crate) fn story(&self, key: RowKey) {
        self.spawn(|client| async move {
            let (explanation, message) = tokio::join!(
                client.explain(key.message_id, &key.personnel_no),
                client.message(key.message_id)
            );
            let story = explanation.and_then(|explanation| {
                Ok(Box::new(Story {
                    explanation,
                    message: message?,
                }))
            });
            Action::Story(key, story.map_err(Failure::from))
        });
    }

    /// Names to complete with. Completion does without what the caller may not see.
    pub(crate) fn names(&self) {
        self.spawn(|client| async move {
            let all = ListQuery {
                limit: Some(1000),
                ..ListQuery::default()
            };
            let (topics, groups, acs) =
                tokio::join!(client.topics(&all), client.groups(&all), client.acs_list(&all));
            Action::Names(Names {
                topics: topics.map_or_else(
                    |_| Vec::new(),
                    |page| page.items.into_iter().map(|t| t.slug).collect(),
                ),
                groups: groups.map_or_else(
                    |_| Vec::new(),
                    |page| page.items.into_iter().map(|g| g.slug).collect(),
                ),
                acs: acs.map_or_else(
                    |_| Vec::new(),
                    |page| page.items.into_iter().map(|a| a.name).collect(),
                ),
                employees: Vec::new(),
            })
        });
    }
}
