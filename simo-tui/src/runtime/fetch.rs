//! Requests to the server: each returns the action that reports its answer.

use simo_common::{
    client::{Client, ListQuery, Result},
    page::Page,
};

use crate::{
    action::{self, Action, Answer, Failure, Load, Question, Story},
    complete::Names,
    history::RowKey,
};

/// A page of history.
pub(crate) async fn page(client: Client, load: Load) -> Action {
    let list = ListQuery {
        query: Some(load.query).filter(|query| !query.is_empty()),
        limit: Some(load.limit),
        cursor: load.cursor,
        archived: false,
    };
    let page = client.deliveries(&list, load.sort).await;
    Action::Loaded(load.ticket, page.map_err(Failure::from))
}

/// A delivery's story and its message.
pub(crate) async fn story(client: Client, key: RowKey) -> Action {
    let (explanation, message) =
        tokio::join!(client.explain(key.message_id, &key.personnel_no), client.message(key.message_id));
    let story = explanation.and_then(|explanation| Ok(Box::new(Story { explanation, message: message? })));
    Action::Story(key, story.map_err(Failure::from))
}

/// The answer to a question about the present state.
pub(crate) async fn answer(client: Client, question: Question) -> Action {
    let answer = match &question {
        Question::Receivers(topic) => client.who_receives(topic, &all()).await.map(Answer::Receivers),
        Question::Access(personnel_no) => {
            let held = client.access_of(personnel_no).await;
            held.map(|held| Answer::Access(held.items))
        }
    };
    Action::Answer(question, answer.map_err(Failure::from))
}

/// The whole list, up to the largest page.
fn all() -> ListQuery {
    ListQuery { limit: Some(1000), ..ListQuery::default() }
}

/// Names for completion; lists that the caller may not read are left empty.
pub(crate) async fn names(client: Client) -> Action {
    let all = all();
    let (topics, groups, acs) = tokio::join!(client.topics(&all), client.groups(&all), client.acs_list(&all));
    Action::Names(Names {
        topics: named(topics, |topic| topic.slug),
        groups: named(groups, |group| group.slug),
        acs: named(acs, |acs| acs.name),
        employees: Vec::new(),
    })
}

fn named<T>(page: Result<Page<T>>, name: impl Fn(T) -> String) -> Vec<String> {
    page.map_or_else(|_| Vec::new(), |page| page.items.into_iter().map(name).collect())
}

/// The list of clients.
pub(crate) async fn clients(client: Client) -> Action {
    let brief =
        |client: simo_common::api::access::Client| action::Client { slug: client.slug, name: client.name };
    let clients = client.clients(&all()).await;
    let clients = clients.map(|page| page.items.into_iter().map(brief).collect());
    Action::Clients(clients.map_err(Failure::from))
}
