//! A site: the desired objects, as described in files, and the changes needed to get there.
//!
//! An omitted key leaves its object as it is. Objects that a list does not name also stay, unless the site is applied with
//! `prune`.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    access::{Grantee, IssuedToken, Payload, WebPush},
    change::Change,
    message::Recipients,
    people::Person,
};
use crate::{message::Priority, people::Role};

/// What there is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// Names of operators who administer all clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owners: Option<Vec<String>>,
    /// Clients by slug.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, SiteClient>,
}

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SiteClient {
    /// Its name for people; of a new client the slug unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// IANA time zone; of a new client `Europe/Moscow` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What FCM is given of its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// Whether pushes by FCM carry a provider-side notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<bool>,
    /// What travels by Web Push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webpush: Option<WebPush>,
    /// Seconds to expiry when a message says nothing: 1 to 2,419,200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<i64>,
    /// Days that history is kept; 0: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i64>,
    /// Its automated control systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acs: Option<Vec<SiteAcs>>,
    /// Its administrators and viewers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operators: Option<Vec<SiteOperator>>,
    /// Its groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<SiteGroup>>,
    /// Its employees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employees: Option<Vec<SiteEmployee>>,
    /// Its topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<SiteTopic>>,
}

/// An ACS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteAcs {
    /// Its short name: a slug.
    pub name: String,
    /// Its tokens, of which several may have the same name; one that does not exist is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<AcsToken>>,
}

/// A token of an ACS: its name alone, or with what it is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AcsToken {
    /// Its name. A new one has no limits; of one that is there none is said.
    Name(String),
    /// With limits.
    Limited(LimitedToken),
}

/// A token with what it is limited to, as it is when it is issued. Of one that is there, what is left out is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitedToken {
    /// What it is for.
    pub name: String,
    /// Whether it may be sent with without a topic; of a new one: yes, unless `topics` are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<bool>,
    /// What it may be used for: `send`, `read`; everything unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The topics that it may post to, by slug; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// The networks that it may be used from; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// Requests a minute; as many as the server's configuration says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub rate_limit: Option<u32>,
    /// Whether it is answered 503 where others are answered 429; no unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_as_503: Option<bool>,
    /// Whether messages with it are cut to their limits instead of being refused; no unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<bool>,
    /// When it stops working, RFC 3339; without an offset in the client's time zone. Never, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl AcsToken {
    /// What it is for.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Limited(LimitedToken { name, .. }) => name,
        }
    }

    /// Its limits, if given.
    pub fn limited(&self) -> Option<&LimitedToken> {
        match self {
            Self::Name(_) => None,
            Self::Limited(limited) => Some(limited),
        }
    }
}

/// By hand, because serde's derive for untagged enums does not name the wrong key.
impl<'de> Deserialize<'de> for AcsToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMap;

        impl<'de> Visitor<'de> for NameOrMap {
            type Value = AcsToken;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<AcsToken, E> {
                Ok(AcsToken::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AcsToken, A::Error> {
                LimitedToken::deserialize(MapAccessDeserializer::new(map)).map(AcsToken::Limited)
            }
        }

        deserializer.deserialize_any(NameOrMap)
    }
}

/// An operator of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteOperator {
    /// A slug, unique over all clients.
    pub name: String,
    /// `admin` or `viewer`.
    pub role: Role,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteGroup {
    /// Its short name.
    pub slug: String,
    /// Its name for people; of a new group the slug unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Slugs of all groups within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub includes: Option<Vec<String>>,
    /// Personnel numbers of all employees who are in it themselves. Or each employee names their groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
}

/// An employee.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteEmployee {
    /// How the client knows them.
    pub personnel_no: String,
    /// Their name; a new employee needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Their e-mail address; empty clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their phone number; empty clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// `ru` or `en`; empty clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA time zone; empty clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Slugs of all their groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Whether they are blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// Who they are when the number has been known under quite another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
}

/// A topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteTopic {
    /// Its short name.
    pub slug: String,
    /// Its name for people; of a new topic the slug unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How urgent a message is that does not say it; `null`: none is said.
    #[serde(default, skip_serializing_if = "Change::stays")]
    #[schema(value_type = Option<Priority>)]
    pub priority: Change<Priority>,
    /// Whom a message is for that does not say it; `null`: all who hold a grant.
    #[serde(default, skip_serializing_if = "Change::stays")]
    #[schema(value_type = Option<Recipients>)]
    pub recipients: Change<Recipients>,
    /// Who may receive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<SiteGrant>>,
}

/// A grant: to one of `everyone`, `group`, `employee`. Times that it does not name do not limit it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SiteGrant {
    /// To everyone of the client.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
    /// To the members of a group, by slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// To one employee, by personnel number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee: Option<String>,
    /// Since when it counts, RFC 3339; without an offset in the client's time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// At which hours of the week: `mon-fri 08:00-20:00; sat,sun 10:00-14:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
}

impl SiteGrant {
    /// The grantee, if exactly one is named.
    pub fn grantee(&self) -> Option<Grantee> {
        match (self.everyone, &self.group, &self.employee) {
            (true, None, None) => Some(Grantee::Everyone),
            (false, Some(slug), None) => Some(Grantee::Group(slug.clone())),
            (false, None, Some(no)) => Some(Grantee::Employee(no.clone())),
            _ => None,
        }
    }
}

/// Asks what a site would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanSite {
    /// What there is to be.
    pub site: Site,
    /// Whether objects go that a list of their kind does not name.
    pub prune: bool,
    /// Whether clients go that are not named, too.
    pub prune_clients: bool,
}

/// Asks to change what a plan says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplySite {
    /// What there is to be.
    #[serde(default)]
    pub site: Site,
    /// Whether objects go that a list of their kind does not name.
    #[serde(default)]
    pub prune: bool,
    /// Whether clients go that are not named, too.
    #[serde(default)]
    pub prune_clients: bool,
    /// The revision that the plan was made from.
    pub revision: String,
}

/// What a site would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SitePlan {
    /// What it was made from; opaque.
    pub revision: String,
    /// In the order of clients, kinds and names. Nothing: all is as the site says.
    pub changes: Vec<SiteChange>,
}

/// What applying a site changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppliedSite {
    /// All of the plan.
    pub changes: Vec<SiteChange>,
    /// The tokens that it issued, with their secrets, which are shown this once.
    pub tokens: Vec<SiteToken>,
}

/// A token that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteToken {
    /// The client's slug.
    pub client: String,
    /// What it is for.
    pub name: String,
    /// The token.
    #[serde(flatten)]
    pub issued: IssuedToken,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteChange {
    /// What happens.
    pub action: SiteAction,
    /// To what.
    pub kind: SiteKind,
    /// Of which client; of none for an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Its name: `smena-a`, `100001`, `1c/main` (a token), `boiler/group:smena-a` (a grant).
    pub name: String,
    /// How it is: the fields that change, or all that it has where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// How it will be, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SiteAction {
    /// It is made; a token: issued.
    Create,
    /// It comes back from the archive.
    Restore,
    /// It becomes otherwise.
    Change,
    /// Its number passes to another person.
    Succeed,
    /// It goes into the archive.
    Archive,
    /// A grant or token is taken back.
    Revoke,
}

/// What a site describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    /// A client.
    Client,
    /// An operator.
    Operator,
    /// An ACS.
    Acs,
    /// A token of an ACS.
    Token,
    /// A group.
    Group,
    /// An employee.
    Employee,
    /// A topic.
    Topic,
    /// A grant of a topic.
    Grant,
}
