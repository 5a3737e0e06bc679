//! One method per endpoint. What each does, and its errors, is in the OpenAPI document.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use http::Method;
use serde::de::IgnoredAny;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::{Client, Error, Result, ServerEvent};
use crate::{
    api::{
        access::{
            Acs, Client as ClientView, ClientSpec, EditAcs, EditTopic, Grant, HeldGrant, IssuedToken,
            MadeClient, Named, NewGrant, NewOperator, NewToken, NewTopic, Operator, Receiver, Rename, Token,
            Topic,
        },
        device::{ChannelAddress, DeviceMessage, Pair, Paired, Receipt, ReceiptsAnswer},
        event::Event,
        history::{Delivery, Explanation, Sort},
        invites::{InviteBatch, MadeBatch, NewBatch, Withdrawn},
        message::{BatchAnswer, Canceled, Message, PostMessage, PostedMessage},
        people::{
            Device, EditEmployee, Employee, Group, ImportReport, ImportRow, Invite, NewEmployee, NewInvite,
            SilentPhone,
        },
        service::{Readiness, WhoAmI},
    },
    page::Page,
};

/// A part of a path: percent-encoded, so that any personnel number fits.
pub(super) fn part(text: &str) -> String {
    byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// Which rows of a list: all are optional.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// A filter: a history query for messages and deliveries, a text to find elsewhere.
    pub query: Option<String>,
    /// Rows per page, 1 to 1000.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// With archived ones.
    pub archived: bool,
}

impl ListQuery {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        pairs.extend(self.query.clone().map(|q| ("query", q)));
        pairs.extend(self.limit.map(|n| ("limit", n.to_string())));
        pairs.extend(self.cursor.clone().map(|c| ("cursor", c)));
        if self.archived {
            pairs.push(("archived", "true".to_owned()));
        }
        pairs
    }
}

#[allow(
    missing_docs,
    reason = "each is named as its endpoint, which the OpenAPI document describes"
)]
impl Client {
    // Service

    pub async fn whoami(&self) -> Result<WhoAmI> {
        self.get("/whoami", &[]).await
    }

    /// `/readyz`, which stands outside the versioned API; a 503 is an answer, not an error.
    pub async fn readiness(&self) -> Result<Readiness> {
        let url = format!("{}/readyz", self.base.trim_end_matches(crate::api::PREFIX));
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .map_err(|e| Error::Unreachable(super::chain(&e)))?;
        answer
            .json()
            .await
            .map_err(|e| Error::Unreachable(super::chain(&e)))
    }

    // Messages and history

    pub async fn post_message(&self, message: &PostMessage, dry_run: bool) -> Result<PostedMessage> {
        let mut request = self.request(Method::POST, "/messages");
        if dry_run {
            request = request.query(&[("dry_run", "true")]);
        }
        self.send(request.json(message)).await
    }

    pub async fn post_batch(&self, messages: &[PostMessage]) -> Result<BatchAnswer> {
        self.with_body(Method::POST, "/messages/batch", messages).await
    }

    pub async fn messages(&self, list: &ListQuery) -> Result<Page<Message>> {
        self.get("/messages", &list.pairs()).await
    }

    pub async fn scheduled_messages(&self, list: &ListQuery) -> Result<Page<Message>> {
        let mut pairs = list.pairs();
        pairs.push(("scheduled", "true".to_owned()));
        self.get("/messages", &pairs).await
    }

    pub async fn message_by_external_id(&self, external_id: &str) -> Result<Page<Message>> {
        self.get("/messages", &[("external_id", external_id.to_owned())])
            .await
    }

    pub async fn message(&self, id: Uuid) -> Result<Message> {
        self.get(&format!("/messages/{id}"), &[]).await
    }

    pub async fn message_deliveries(&self, id: Uuid, list: &ListQuery) -> Result<Page<Delivery>> {
        self.get(&format!("/messages/{id}/deliveries"), &list.pairs())
            .await
    }

    pub async fn cancel_message(&self, id: Uuid) -> Result<Canceled> {
        self.call(Method::POST, &format!("/messages/{id}/cancel")).await
    }

    pub async fn explain(&self, id: Uuid, personnel_no: &str) -> Result<Explanation> {
        self.get(
            &format!("/messages/{id}/explain"),
            &[("employee", personnel_no.to_owned())],
        )
        .await
    }

    pub async fn deliveries(&self, list: &ListQuery, sort: Sort) -> Result<Page<Delivery>> {
        let mut pairs = list.pairs();
        pairs.push(("sort", sort.to_string()));
        self.get("/deliveries", &pairs).await
    }

    /// The live feed; each event comes with the id that resumes after it.
    pub async fn follow_events(
        &self,
        last_id: Option<&str>,
    ) -> Result<impl Stream<Item = Result<(String, Event)>> + Send + Unpin + use<>> {
        Ok(self.events("/events", &[], last_id).await?.map(|event| {
            let event = event?;
            Ok((event.id.clone().unwrap_or_default(), parsed(&event)?))
        }))
    }

    // Clients, ACS, operators, tokens

    pub async fn clients(&self, list: &ListQuery) -> Result<Page<ClientView>> {
        self.get("/clients", &list.pairs()).await
    }

    pub async fn add_client(&self, spec: &ClientSpec) -> Result<MadeClient> {
        self.with_body(Method::POST, "/clients", spec).await
    }

    pub async fn client(&self, slug: &str) -> Result<ClientView> {
        self.get(&format!("/clients/{}", part(slug)), &[]).await
    }

    pub async fn edit_client(&self, slug: &str, spec: &ClientSpec) -> Result<ClientView> {
        self.with_body(Method::PATCH, &format!("/clients/{}", part(slug)), spec)
            .await
    }

    pub async fn remove_client(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/clients/{}", part(slug)))
            .await
    }

    pub async fn acs_list(&self, list: &ListQuery) -> Result<Page<Acs>> {
        self.get("/acs", &list.pairs()).await
    }

    pub async fn add_acs(&self, acs: &Named) -> Result<Acs> {
        self.with_body(Method::POST, "/acs", acs).await
    }

    pub async fn acs(&self, name: &str) -> Result<Acs> {
        self.get(&format!("/acs/{}", part(name)), &[]).await
    }

    pub async fn edit_acs(&self, name: &str, edit: &EditAcs) -> Result<Acs> {
        self.with_body(Method::PATCH, &format!("/acs/{}", part(name)), edit)
            .await
    }

    pub async fn remove_acs(&self, name: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/acs/{}", part(name)))
            .await
    }

    pub async fn operators(&self, list: &ListQuery) -> Result<Page<Operator>> {
        self.get("/operators", &list.pairs()).await
    }

    pub async fn add_operator(&self, operator: &NewOperator) -> Result<Operator> {
        self.with_body(Method::POST, "/operators", operator).await
    }

    pub async fn operator(&self, name: &str) -> Result<Operator> {
        self.get(&format!("/operators/{}", part(name)), &[]).await
    }

    pub async fn edit_operator(&self, name: &str, operator: &NewOperator) -> Result<Operator> {
        self.with_body(Method::PATCH, &format!("/operators/{}", part(name)), operator)
            .await
    }

    pub async fn remove_operator(&self, name: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/operators/{}", part(name)))
            .await
    }

    pub async fn tokens(&self, list: &ListQuery) -> Result<Page<Token>> {
        self.get("/tokens", &list.pairs()).await
    }

    pub async fn issue_token(&self, token: &NewToken) -> Result<IssuedToken> {
        self.with_body(Method::POST, "/tokens", token).await
    }

    pub async fn token(&self, id: Uuid) -> Result<Token> {
        self.get(&format!("/tokens/{id}"), &[]).await
    }

    /// Issues a successor. The token itself works for `grace` more seconds; without any it is revoked.
    pub async fn rotate_token(&self, id: Uuid, grace: Option<i64>) -> Result<IssuedToken> {
        let grace = grace.map(|seconds| ("grace", seconds.to_string()));
        let request = self.request(Method::POST, &format!("/tokens/{id}/rotate"));
        self.send(request.query(grace.as_slice())).await
    }

    pub async fn revoke_token(&self, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/tokens/{id}")).await
    }

    // Employees, groups, devices

    pub async fn employees(&self, list: &ListQuery, group: Option<&str>) -> Result<Page<Employee>> {
        let mut pairs = list.pairs();
        pairs.extend(group.map(|slug| ("group", slug.to_owned())));
        self.get("/employees", &pairs).await
    }

    pub async fn add_employee(&self, employee: &NewEmployee) -> Result<Employee> {
        self.with_body(Method::POST, "/employees", employee).await
    }

    /// His number passes to him from whoever has it.
    pub async fn succeed_employee(&self, employee: &NewEmployee) -> Result<Employee> {
        let request = self.request(Method::POST, "/employees");
        self.send(request.query(&[("new_person", "true")]).json(employee))
            .await
    }

    pub async fn employee(&self, personnel_no: &str) -> Result<Employee> {
        self.get(&format!("/employees/{}", part(personnel_no)), &[]).await
    }

    pub async fn edit_employee(&self, personnel_no: &str, edit: &EditEmployee) -> Result<Employee> {
        self.with_body(Method::PATCH, &format!("/employees/{}", part(personnel_no)), edit)
            .await
    }

    pub async fn remove_employee(&self, personnel_no: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/employees/{}", part(personnel_no)))
            .await
    }

    pub async fn block_employee(&self, personnel_no: &str) -> Result<Employee> {
        self.call(Method::POST, &format!("/employees/{}/block", part(personnel_no)))
            .await
    }

    pub async fn unblock_employee(&self, personnel_no: &str) -> Result<Employee> {
        self.call(
            Method::POST,
            &format!("/employees/{}/unblock", part(personnel_no)),
        )
        .await
    }

    /// The body is streamed, so that `sent` can follow how many bytes are on their way.
    pub async fn import_employees(
        &self,
        rows: &[ImportRow],
        dry_run: bool,
        mut sent: impl FnMut(usize, usize) + Send + Sync + 'static,
    ) -> Result<ImportReport> {
        let body = serde_json::to_vec(rows).map_err(|e| Error::Unreachable(e.to_string()))?;
        let total = body.len();
        let body = bytes::Bytes::from(body);
        let mut done = 0;
        let chunks = (0..total).step_by(64 * 1024).map(move |from| {
            let chunk = body.slice(from..(from + 64 * 1024).min(total));
            done += chunk.len();
            sent(done, total);
            Ok::<_, std::convert::Infallible>(chunk)
        });
        let request = self
            .request(Method::POST, "/employees/import")
            .query(&[("dry_run", dry_run.to_string())])
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)));
        self.send_within(Duration::from_mins(10), request).await
    }

    pub async fn groups(&self, list: &ListQuery) -> Result<Page<Group>> {
        self.get("/groups", &list.pairs()).await
    }

    pub async fn add_group(&self, group: &Named) -> Result<Group> {
        self.with_body(Method::POST, "/groups", group).await
    }

    pub async fn group(&self, slug: &str) -> Result<Group> {
        self.get(&format!("/groups/{}", part(slug)), &[]).await
    }

    pub async fn edit_group(&self, slug: &str, rename: &Rename) -> Result<Group> {
        self.with_body(Method::PATCH, &format!("/groups/{}", part(slug)), rename)
            .await
    }

    pub async fn remove_group(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/groups/{}", part(slug)))
            .await
    }

    pub async fn add_member(&self, slug: &str, personnel_no: &str) -> Result<()> {
        let path = format!("/groups/{}/members/{}", part(slug), part(personnel_no));
        self.nothing(Method::PUT, &path).await
    }

    pub async fn remove_member(&self, slug: &str, personnel_no: &str) -> Result<()> {
        let path = format!("/groups/{}/members/{}", part(slug), part(personnel_no));
        self.nothing(Method::DELETE, &path).await
    }

    pub async fn include_group(&self, slug: &str, included: &str) -> Result<()> {
        let path = format!("/groups/{}/groups/{}", part(slug), part(included));
        self.nothing(Method::PUT, &path).await
    }

    pub async fn exclude_group(&self, slug: &str, included: &str) -> Result<()> {
        let path = format!("/groups/{}/groups/{}", part(slug), part(included));
        self.nothing(Method::DELETE, &path).await
    }

    pub async fn devices(&self, list: &ListQuery, employee: Option<&str>) -> Result<Page<Device>> {
        let mut pairs = list.pairs();
        pairs.extend(employee.map(|no| ("employee", no.to_owned())));
        self.get("/devices", &pairs).await
    }

    pub async fn device(&self, id: Uuid) -> Result<Device> {
        self.get(&format!("/devices/{id}"), &[]).await
    }

    /// Phones that would miss the next alarm: also those without contact for so many seconds.
    pub async fn silent_devices(&self, list: &ListQuery, silent_for: i64) -> Result<Page<SilentPhone>> {
        let mut pairs = list.pairs();
        pairs.push(("silent_for", silent_for.to_string()));
        self.get("/devices/silent", &pairs).await
    }

    pub async fn edit_device(&self, id: Uuid, rename: &Rename) -> Result<Device> {
        self.with_body(Method::PATCH, &format!("/devices/{id}"), rename)
            .await
    }

    pub async fn invite_device(&self, invite: &NewInvite) -> Result<Invite> {
        self.with_body(Method::POST, "/devices/invite", invite).await
    }

    pub async fn invite_devices(&self, batch: &NewBatch) -> Result<MadeBatch> {
        let request = self.request(Method::POST, "/devices/invites").json(batch);
        self.send_within(Duration::from_mins(5), request).await
    }

    pub async fn invite_batches(&self, list: &ListQuery) -> Result<Page<InviteBatch>> {
        self.get("/devices/invites", &list.pairs()).await
    }

    pub async fn withdraw_invites(&self, id: Uuid) -> Result<Withdrawn> {
        self.call(Method::DELETE, &format!("/devices/invites/{id}")).await
    }

    pub async fn remove_device(&self, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/devices/{id}")).await
    }

    // Topics and grants

    pub async fn topics(&self, list: &ListQuery) -> Result<Page<Topic>> {
        self.get("/topics", &list.pairs()).await
    }

    pub async fn add_topic(&self, topic: &NewTopic) -> Result<Topic> {
        self.with_body(Method::POST, "/topics", topic).await
    }

    pub async fn topic(&self, slug: &str) -> Result<Topic> {
        self.get(&format!("/topics/{}", part(slug)), &[]).await
    }

    pub async fn edit_topic(&self, slug: &str, changes: &EditTopic) -> Result<Topic> {
        self.with_body(Method::PATCH, &format!("/topics/{}", part(slug)), changes)
            .await
    }

    pub async fn remove_topic(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/topics/{}", part(slug)))
            .await
    }

    pub async fn grants(&self, topic: &str) -> Result<Page<Grant>> {
        self.get(&format!("/topics/{}/grants", part(topic)), &[]).await
    }

    pub async fn grant(&self, topic: &str, grant: &NewGrant) -> Result<Grant> {
        self.with_body(Method::POST, &format!("/topics/{}/grants", part(topic)), grant)
            .await
    }

    pub async fn revoke_grant(&self, topic: &str, id: Uuid) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/topics/{}/grants/{id}", part(topic)))
            .await
    }

    pub async fn access_of(&self, personnel_no: &str) -> Result<Page<HeldGrant>> {
        self.get(&format!("/employees/{}/access", part(personnel_no)), &[])
            .await
    }

    pub async fn who_receives(&self, topic: &str, list: &ListQuery) -> Result<Page<Receiver>> {
        self.get(&format!("/topics/{}/who", part(topic)), &list.pairs())
            .await
    }

    // A phone's side

    pub async fn pair(&self, pair: &Pair) -> Result<Paired> {
        self.with_body(Method::POST, "/device/pair", pair).await
    }

    pub async fn change_channel(&self, channel: &ChannelAddress) -> Result<()> {
        self.send::<IgnoredAny>(self.request(Method::PUT, "/device/channel").json(channel))
            .await
            .map(|_| ())
    }

    pub async fn leave(&self) -> Result<()> {
        self.nothing(Method::DELETE, "/device").await
    }

    pub async fn own_messages(&self, list: &ListQuery) -> Result<Page<DeviceMessage>> {
        self.get("/device/messages", &list.pairs()).await
    }

    pub async fn own_message(&self, id: Uuid) -> Result<DeviceMessage> {
        self.get(&format!("/device/messages/{id}"), &[]).await
    }

    pub async fn send_receipts(&self, receipts: &[Receipt]) -> Result<ReceiptsAnswer> {
        self.with_body(Method::POST, "/device/receipts", receipts).await
    }

    /// Everything without a receipt, then live.
    pub async fn own_stream(
        &self,
    ) -> Result<impl Stream<Item = Result<DeviceMessage>> + Send + Unpin + use<>> {
        Ok(self
            .events("/device/stream", &[], None)
            .await?
            .map(|event| parsed(&event?)))
    }

    pub(super) async fn nothing(&self, method: Method, path: &str) -> Result<()> {
        self.call::<IgnoredAny>(method, path).await.map(|_| ())
    }
}

fn parsed<T: serde::de::DeserializeOwned>(event: &ServerEvent) -> Result<T> {
    serde_json::from_str(&event.data).map_err(|_| Error::Foreign {
        status: 200,
        text: event.data.chars().take(200).collect(),
    })
}
