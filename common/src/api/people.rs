//! Employees, groups and devices, as administrators see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A person of a client who receives messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Employee {
    /// How the client knows them.
    pub personnel_no: String,
    /// The number that they had until a successor got it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_no: Option<String>,
    /// Their name.
    pub full_name: String,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their phone number, for people to call.
    pub phone: Option<String>,
    /// Slugs of their groups, sorted.
    pub groups: Vec<String>,
    /// `ru` or `en`.
    pub locale: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Devices that are not retired.
    pub devices: u32,
    /// Since when they are blocked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_at: Option<Timestamp>,
    /// Since when they are archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
}

/// What waits for an employee: to be sent, or for a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Deliveries that are queued.
    pub deliveries: u64,
    /// Of them, those of critical messages.
    pub critical: u64,
}

/// A new employee, or a row of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEmployee {
    /// 1–64 characters; leading zeros and Cyrillic are fine.
    pub personnel_no: String,
    /// 1–200 characters.
    pub full_name: String,
    /// Their e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Slugs of their groups; an import makes missing ones, `POST /employees` refuses them.
    #[serde(default)]
    pub groups: Vec<String>,
    /// `ru` or `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// What to change of an employee; absent fields stay, `null` clears where that is possible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EditEmployee {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// A new e-mail address; empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A new phone number; empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// All their groups from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// `ru` or `en`; empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA time zone; empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// A row of an import with the line it stood on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRow {
    /// The line in the file, from 1, for error messages.
    pub line: u64,
    /// The employee.
    pub employee: NewEmployee,
    /// Who they are when the number has been known under quite another name: needed then, and without meaning else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
}

/// Who is meant by a number that has been known under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Person {
    /// A successor, who has nothing to do with what their predecessor got.
    New,
    /// The same one, renamed.
    Same,
}

/// What an import did, or with `dry_run` would do. All or nothing: with errors, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Employees made.
    pub created: u64,
    /// Of them, those whose number was another person's, who is archived now.
    #[serde(default)]
    pub succeeded: u64,
    /// Employees changed (or brought back from the archive).
    pub updated: u64,
    /// Employees who were as the file says.
    pub unchanged: u64,
    /// Groups made.
    pub groups_created: u64,
    /// The first thousand changes.
    pub changes: Vec<ImportChange>,
    /// Whether it was only a rehearsal.
    pub dry_run: bool,
}

/// One change of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportChange {
    /// The line in the file; 0 for a group.
    pub line: u64,
    /// The personnel number, or the group's slug.
    pub name: String,
    /// `create`, `succeed`, `update` or `create_group`.
    pub action: String,
    /// For an update or a successor: field, before, after.
    pub fields: Vec<(String, String, String)>,
}

/// Employees together: a department, a shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its short name.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// How many employees it has itself, archived ones not counted.
    pub members: u64,
    /// How many employees are in it or in the groups within.
    pub people: u64,
    /// Slugs of the groups that it includes, sorted; those that these include are not named.
    pub includes: Vec<String>,
    /// Since when it is archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub archived_at: Option<Timestamp>,
    /// Where it was just added: it came back from the archive, without members and grants.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
}

/// A way in for a phone: a pairing code, shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    /// The code, such as `K7QD-M2XA-9F`; single-use.
    pub code: String,
    /// Whom it is for.
    pub personnel_no: String,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// What the QR code carries, and what leads to the web app: `https://simo.example.org/app/#pair=K7QD-M2XA-9F`.
    pub uri: String,
}

/// Asks for a pairing code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// Whom it is for.
    pub employee: String,
    /// Seconds that it works; 24 hours unless said otherwise, 30 days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<i64>,
}

/// A phone of an employee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub personnel_no: String,
    /// Their name.
    pub employee: String,
    /// The way to it: `fcm`, `webpush`, `stream`.
    pub channel: String,
    /// What the phone calls itself.
    pub name: String,
    /// `android`, `ios`, `web`, `cli` …
    pub platform: String,
    /// `active`, `quarantined` or `retired`.
    pub state: String,
    /// Why, for the latter two.
    pub reason: Option<String>,
    /// When it was paired.
    #[schema(value_type = String, format = DateTime)]
    pub paired_at: Timestamp,
    /// When it was last in contact.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen_at: Option<Timestamp>,
    /// Whether it shows notifications; absent when the app has not said so.
    #[serde(default)]
    pub notifications: Option<bool>,
}

/// A phone that would miss the next alarm, or a person without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilentPhone {
    /// Whose it is.
    pub personnel_no: String,
    /// Their name.
    pub employee: String,
    /// Their phone number, to call them.
    pub phone: Option<String>,
    /// The device; absent when they have none.
    pub device_id: Option<Uuid>,
    /// What it calls itself.
    pub name: Option<String>,
    /// The way to it.
    pub channel: Option<String>,
    /// When it was last in contact.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen_at: Option<Timestamp>,
    /// Every reason why it would miss it.
    pub why: Vec<Silence>,
}

/// Why a phone would miss the next alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// The employee has no device.
    NoDevice,
    /// A provider called its address dead.
    Quarantined,
    /// It shows no notifications.
    NotificationsOff,
    /// It has not been in contact for long.
    NoContact,
}
