//! The endpoints of employees, groups and devices.

use std::time::Duration;

use http::Method;
use uuid::Uuid;

use super::{Client, Error, ListQuery, Result, part};
use crate::{
    api::{
        access::{Named, Rename},
        invites::{InviteBatch, MadeBatch, NewBatch, Withdrawn},
        people::{
            Device, EditEmployee, Employee, Group, ImportReport, ImportRow, Invite, NewEmployee, NewInvite,
            SilentPhone, Waiting,
        },
    },
    page::Page,
};

#[allow(missing_docs, reason = "each is named as its endpoint, which the OpenAPI document describes")]
impl Client {
    pub async fn employees(&self, list: &ListQuery, group: Option<&str>) -> Result<Page<Employee>> {
        let mut pairs = list.pairs();
        pairs.extend(group.map(|slug| ("group", slug.to_owned())));
        self.get("/employees", &pairs).await
    }

    pub async fn add_employee(&self, employee: &NewEmployee) -> Result<Employee> {
        self.with_body(Method::POST, "/employees", employee).await
    }

    /// The new employee takes over the personnel number from its present holder.
    pub async fn succeed_employee(&self, employee: &NewEmployee) -> Result<Employee> {
        let request = self.request(Method::POST, "/employees");
        self.send(request.query(&[("new_person", "true")]).json(employee)).await
    }

    pub async fn employee(&self, personnel_no: &str) -> Result<Employee> {
        self.get(&format!("/employees/{}", part(personnel_no)), &[]).await
    }

    pub async fn edit_employee(&self, personnel_no: &str, edit: &EditEmployee) -> Result<Employee> {
        self.with_body(Method::PATCH, &format!("/employees/{}", part(personnel_no)), edit).await
    }

    pub async fn remove_employee(&self, personnel_no: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/employees/{}", part(personnel_no))).await
    }

    pub async fn waiting_for(&self, personnel_no: &str) -> Result<Waiting> {
        self.call(Method::GET, &format!("/employees/{}/waiting", part(personnel_no))).await
    }

    pub async fn block_employee(&self, personnel_no: &str) -> Result<Employee> {
        self.call(Method::POST, &format!("/employees/{}/block", part(personnel_no))).await
    }

    pub async fn unblock_employee(&self, personnel_no: &str) -> Result<Employee> {
        self.call(Method::POST, &format!("/employees/{}/unblock", part(personnel_no))).await
    }

    /// The body is streamed, so that `sent` can count the bytes already sent.
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
        self.with_body(Method::PATCH, &format!("/groups/{}", part(slug)), rename).await
    }

    pub async fn remove_group(&self, slug: &str) -> Result<()> {
        self.nothing(Method::DELETE, &format!("/groups/{}", part(slug))).await
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

    /// Phones that would miss the next alarm, including those without contact for `silent_for` seconds.
    pub async fn silent_devices(&self, list: &ListQuery, silent_for: i64) -> Result<Page<SilentPhone>> {
        let mut pairs = list.pairs();
        pairs.push(("silent_for", silent_for.to_string()));
        self.get("/devices/silent", &pairs).await
    }

    pub async fn edit_device(&self, id: Uuid, rename: &Rename) -> Result<Device> {
        self.with_body(Method::PATCH, &format!("/devices/{id}"), rename).await
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
}
