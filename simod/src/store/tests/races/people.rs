//! Two instances creating and changing people and their clients at once.

use futures_util::future::BoxFuture;
use simo_common::{
    api::{
        access::{ClientSpec, EditTopic, Named, NewTopic},
        change::Change,
        message::Recipients,
        people::NewEmployee,
    },
    people::Role,
};

use super::{
    access::{TOKENS, only_token, operator},
    *,
};
use crate::store::ClientNo;

type Make = fn(Arc<Store>, ClientNo) -> BoxFuture<'static, Result<()>>;

/// Archiving comes after the device, and retires it.
#[tokio::test]
async fn whoever_pairs_while_he_is_archived_keeps_no_device() {
    let Some((plant, other)) = two().await else { return };
    let employee = plant.employee(1).await;
    let device = new_device(&plant.invite(employee).await, "token", Some("a"));
    let (store, client) = (plant.store.clone(), plant.client_no);
    let (paired, removed) = meet(
        &plant.store,
        "lock table device in share mode",
        async move { store.pair(&device).await },
        async move { other.remove_employee(client, "0001").await },
    )
    .await;
    assert!(matches!(paired, Ok(Pairing::Done(_))), "{paired:?}");
    removed.unwrap();
    let living = "select count(*) from device where retired_at is null";
    assert_eq!(plant.number(living).await, Some(0));
    let tokens = "select count(*) from token where kind = 'device' and revoked_at is null";
    assert_eq!(plant.number(tokens).await, Some(0));
}

/// A topic never keeps an archived recipient, whichever comes first.
#[tokio::test]
async fn whom_a_topic_is_given_to_while_he_is_archived_is_either_refused_or_kept() {
    let Some((plant, other)) = two().await else { return };
    plant.employee(1).await;
    let client = plant.client_no;
    plant.store.add_group(client, &same()).await.unwrap();
    let topic = NewTopic { slug: "pumps".to_owned(), ..NewTopic::default() };
    plant.store.add_topic(client, &topic).await.unwrap();
    let whom: [(&str, Recipients, Make); 2] = [
        (
            "\"group\"",
            Recipients { groups: vec!["same".to_owned()], ..Recipients::default() },
            |store, client| Box::pin(async move { store.remove_group(client, "same").await }),
        ),
        (
            "employee",
            Recipients { employees: vec!["0001".to_owned()], ..Recipients::default() },
            |store, client| Box::pin(async move { store.remove_employee(client, "0001").await }),
        ),
    ];
    for (table, recipients, remove) in whom {
        let changes = EditTopic { default_recipients: Change::Set(recipients), ..EditTopic::default() };
        let edit = {
            let (store, changes) = (other.clone(), changes.clone());
            async move { store.edit_topic(client, "pumps", &changes).await.map(|_| ()) }
        };
        let archive = format!("update {table} set archived_at = {START}");
        let edited = race(&plant.store, &archive, edit).await;
        assert!(matches!(edited, Err(Error::Invalid(_))), "{table}: {edited:?}");
        plant.run(&format!("update {table} set archived_at = null")).await;

        let (first, second) = (plant.store.clone(), other.clone());
        let (edited, removed) = meet(
            &plant.store,
            "lock table topic in share mode",
            async move { first.edit_topic(client, "pumps", &changes).await.map(|_| ()) },
            remove(second, client),
        )
        .await;
        edited.unwrap();
        assert!(matches!(removed, Err(Error::Conflict(_))), "{table}: {removed:?}");
        let archived = format!("select count(*) from {table} where archived_at is not null");
        assert_eq!(plant.number(&archived).await, Some(0), "{table}");
    }
}

/// Both wait for a third transaction that creates the same and rolls back; then only one of them succeeds.
#[tokio::test]
async fn what_two_instances_make_at_once_is_made_once_and_the_other_one_is_told_that_it_is_there() {
    let Some((plant, other)) = two().await else { return };
    let makes: [(&str, Make); 6] = [
        (
            "client (slug, name, timezone, default_ttl, created_at) values ('same', '', 'UTC', 1, 1)",
            |store, _| {
                Box::pin(async move { store.add_client("same", &ClientSpec::default()).await.map(|_| ()) })
            },
        ),
        ("operator (name, role, created_at) values ('same', 'owner', 1)", |store, _| {
            Box::pin(
                async move { store.add_operator(None, &operator("same", Role::Owner)).await.map(|_| ()) },
            )
        }),
        ("acs (client_no, name, created_at) values (CLIENT, 'same', 1)", |store, client| {
            Box::pin(async move { store.add_acs(client, "same").await.map(|_| ()) })
        }),
        ("\"group\" (client_no, slug, name, created_at) values (CLIENT, 'same', '', 1)", |store, client| {
            Box::pin(async move { store.add_group(client, &same()).await.map(|_| ()) })
        }),
        ("topic (client_no, slug, name, created_at) values (CLIENT, 'same', '', 1)", |store, client| {
            Box::pin(async move { store.add_topic(client, &same_topic()).await.map(|_| ()) })
        }),
        (
            "employee (client_no, no, personnel_no, full_name, folded_name, sort_key, created_at)
          values (CLIENT, 99, 'same', '', '', x'00', 1)",
            |store, client| {
                let new = NewEmployee {
                    personnel_no: "same".to_owned(),
                    full_name: "Иванов".to_owned(),
                    ..NewEmployee::default()
                };
                Box::pin(async move { store.add_employee(client, &new).await.map(|_| ()) })
            },
        ),
    ];
    let client = plant.client_no;
    for (row, make) in makes {
        let row = row.replace("CLIENT", &client.0.to_string());
        let made = meet(
            &plant.store,
            &format!("insert into {row}"),
            make(plant.store.clone(), client),
            make(other.clone(), client),
        )
        .await;
        assert!(
            matches!(made, (Ok(()), Err(Error::Conflict(_))) | (Err(Error::Conflict(_)), Ok(()))),
            "{row}: {made:?}"
        );
    }
}

fn same_topic() -> NewTopic {
    NewTopic { slug: "same".to_owned(), ..NewTopic::default() }
}

fn same() -> Named {
    Named { slug: "same".to_owned(), name: None }
}

/// Neither sees the other's name before it is committed: the second one is told to retry, and gets the conflict then.
#[tokio::test]
async fn of_two_operators_who_are_given_one_name_the_second_one_is_told_to_come_back() {
    let Some((plant, other)) = two().await else { return };
    let (store, client) = (plant.store.clone(), plant.client_no);
    for name in ["anna", "boris"] {
        let new = operator(name, Role::Admin);
        store.add_operator(Some(client), &new).await.unwrap();
    }
    only_token(&plant, "anna").await;
    let again = other.clone();
    let (first, second) = meet(
        &plant.store,
        TOKENS,
        async move {
            let named = operator("vera", Role::Admin);
            store.edit_operator(None, "anna", &named, None).await
        },
        async move {
            let named = operator("vera", Role::Admin);
            other.edit_operator(None, "boris", &named, None).await
        },
    )
    .await;
    assert!(first.is_ok(), "{first:?}");
    assert!(matches!(second, Err(Error::Unavailable(_))), "{second:?}");
    let named = operator("vera", Role::Admin);
    let told = again.edit_operator(None, "boris", &named, None).await;
    assert!(matches!(told, Err(Error::Conflict(_))), "{told:?}");
}
