//! A client with people, topics and phones, set up through the API as an administrator would.

use simo_common::{
    api::{
        access::{ClientSpec, Grantee, NewToken, NewTopic},
        device::{ChannelAddress, Pair},
        message::{PostMessage, PostedMessage, Recipients},
        people::{ImportRow, NewEmployee, NewInvite},
    },
    client::Client,
};
use uuid::Uuid;

use crate::Simod;

/// A client (legal entity) under test, and its administrator.
pub struct Plant {
    /// Its slug.
    pub slug: String,
    /// The owner over the Unix socket, acting for this client.
    pub admin: Client,
}

/// A paired phone.
pub struct Phone {
    /// Its device id.
    pub id: Uuid,
    /// Its token.
    pub token: String,
    /// The owner's personnel number.
    pub personnel_no: String,
    /// Its FCM address; a phone with a stream has none.
    pub address: Option<String>,
    /// An API client with its token.
    pub client: Client,
}

impl Plant {
    /// Creates a client.
    pub async fn new(simod: &Simod, slug: &str) -> Self {
        let spec = ClientSpec { slug: Some(slug.to_owned()), ..ClientSpec::default() };
        simod.owner().add_client(&spec).await.expect("a client can be made");
        Self { slug: slug.to_owned(), admin: simod.owner().for_client(Some(slug.to_owned())) }
    }

    /// A new token for an ACS, which is created if needed.
    pub async fn token(&self, acs: &str) -> String {
        let token = NewToken { acs: Some(acs.to_owned()), ..NewToken::default() };
        self.admin.issue_token(&token).await.expect("a token can be issued").token
    }

    /// An ACS with a token of its own, over TCP.
    pub async fn acs(&self, simod: &Simod, name: &str) -> Client {
        simod.caller(&self.token(name).await)
    }

    /// Imports employees by personnel number into these groups (created if needed).
    pub async fn employees(&self, numbers: &[&str], groups: &[&str]) {
        let rows: Vec<ImportRow> = numbers
            .iter()
            .zip(1..)
            .map(|(number, line)| ImportRow {
                line,
                employee: NewEmployee {
                    personnel_no: (*number).to_owned(),
                    full_name: format!("Сотрудник {number}"),
                    groups: groups.iter().map(|&slug| slug.to_owned()).collect(),
                    ..NewEmployee::default()
                },
                person: None,
            })
            .collect();
        self.import(&rows).await;
    }

    /// Imports these employees.
    pub async fn import(&self, rows: &[ImportRow]) {
        self.admin.import_employees(rows, false, |_, _| {}).await.expect("employees can be imported");
    }

    /// Creates a topic with these grants.
    pub async fn topic(&self, slug: &str, grantees: &[Grantee]) {
        let topic = NewTopic { slug: slug.to_owned(), ..NewTopic::default() };
        self.admin.add_topic(&topic).await.expect("a topic can be made");
        for grantee in grantees {
            self.admin.grant(slug, &grantee.clone().into()).await.expect("a grant can be given");
        }
    }

    /// Pairs a phone that FCM reaches at this address.
    pub async fn fcm_phone(&self, simod: &Simod, personnel_no: &str, address: &str) -> Phone {
        self.phone(simod, personnel_no, Some(address)).await
    }

    /// Pairs a phone that holds a stream.
    pub async fn stream_phone(&self, simod: &Simod, personnel_no: &str) -> Phone {
        self.phone(simod, personnel_no, None).await
    }

    async fn phone(&self, simod: &Simod, personnel_no: &str, address: Option<&str>) -> Phone {
        let invite = NewInvite { employee: personnel_no.to_owned(), valid_for: None };
        let invite = self.admin.invite_device(&invite).await.expect("a phone can be invited");
        let pair = Pair {
            code: invite.code,
            key: None,
            channel: ChannelAddress {
                kind: if address.is_some() { "fcm" } else { "stream" }.to_owned(),
                address: address.map(str::to_owned),
                address_kind: None,
                endpoint: None,
                keys: None,
                notifications: None,
            },
            name: "Телефон".to_owned(),
            platform: "android".to_owned(),
        };
        let paired = simod.anyone().pair(&pair).await.expect("a phone can be paired");
        Phone {
            id: paired.device_id,
            client: simod.caller(&paired.token),
            token: paired.token,
            personnel_no: personnel_no.to_owned(),
            address: address.map(str::to_owned),
        }
    }
}

/// A personal message to these employees.
pub fn to_employees(title: &str, numbers: &[&str]) -> PostMessage {
    PostMessage {
        title: title.to_owned(),
        recipients: Some(Recipients {
            employees: numbers.iter().map(|&number| number.to_owned()).collect(),
            ..Recipients::default()
        }),
        ..PostMessage::default()
    }
}

/// A message to everyone with a grant for the topic.
pub fn to_topic(title: &str, topic: &str) -> PostMessage {
    PostMessage { title: title.to_owned(), topic: Some(topic.to_owned()), ..PostMessage::default() }
}

/// Posts a message that must be accepted.
pub async fn post(acs: &Client, message: &PostMessage) -> PostedMessage {
    acs.post_message(message, false).await.expect("the message is accepted")
}
