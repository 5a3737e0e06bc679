//! Finds the holder of a token in the live rows.

use simo_common::{people::Role, token::TokenKind};
use uuid::Uuid;

use super::limits::TokenLimits;
use crate::channel::ChannelKind;
use crate::store::{
    AcsNo, ClientNo, DeviceNo, EmployeeNo, OperatorNo, Result, Store,
    db::engine::{query, query_as, query_scalar},
};

/// The holder that a token authenticates.
#[derive(Debug, Clone)]
pub enum TokenHolder {
    /// An ACS.
    Acs(AcsCaller),
    /// An operator.
    Operator(OperatorCaller),
    /// A phone.
    Device(DeviceCaller),
}

/// An ACS as caller.
#[derive(Debug, Clone)]
pub struct AcsCaller {
    /// Its client.
    pub client_no: ClientNo,
    /// The client's slug.
    pub client: String,
    /// The ACS.
    pub acs_no: AcsNo,
    /// Its name.
    pub name: String,
    /// What it may do with its token.
    pub limits: TokenLimits,
}

/// An operator as caller.
#[derive(Debug, Clone)]
pub struct OperatorCaller {
    /// The operator; absent for the local socket.
    pub operator_no: Option<OperatorNo>,
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Their client (number and slug); absent for owners.
    pub client: Option<(ClientNo, String)>,
}

/// A phone as caller.
#[derive(Debug, Clone)]
pub struct DeviceCaller {
    /// Its client.
    pub client_no: ClientNo,
    /// The client's slug.
    pub client: String,
    /// The employee whose phone it is.
    pub employee_no: EmployeeNo,
    /// The device.
    pub device_no: DeviceNo,
    /// Its id.
    pub device_id: Uuid,
    /// Its channel.
    pub channel: ChannelKind,
    /// Whether the employee is blocked: then every request of the phone is refused.
    pub blocked: bool,
}

impl Store {
    /// The holder of the token with this hash; `None` when it is unknown, expired or revoked, or its holder or client
    /// is archived.
    pub async fn token_holder(&self, hash: &[u8; 32]) -> Result<Option<TokenHolder>> {
        let row = query(
            "select t.kind, t.client_no, t.holder_no, t.scopes, t.topics, t.networks, t.rate_limit, t.rate_limit_as_503,
                    t.fit, c.slug, a.name as acs, o.name as operator, o.role, d.employee_no, d.id as device_id, d.channel,
                    e.blocked_at
             from token t
             left join client c on c.no = t.client_no
             left join acs a on t.kind = 'acs' and a.client_no = t.client_no and a.no = t.holder_no
             left join operator o on t.kind = 'operator' and o.no = t.holder_no
             left join device d on t.kind = 'device' and d.client_no = t.client_no and d.no = t.holder_no
             left join employee e on e.client_no = d.client_no and e.no = d.employee_no
             where t.hash = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > $2)
               and c.archived_at is null and a.archived_at is null and o.archived_at is null
               and d.retired_at is null and e.archived_at is null",
        )
        .bind(hash.as_slice())
        .bind(self.clock.now())
        .fetch_optional(&mut *self.read_promptly().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let client_no: Option<ClientNo> = row.try_get("client_no")?;
        let slug: Option<String> = row.try_get("slug")?;
        let client = client_no.zip(slug);
        let kind: String = row.try_get("kind")?;
        let holder_no: i64 = row.try_get("holder_no")?;
        if kind == TokenKind::Operator.as_str() {
            let role: Option<String> = row.try_get("role")?;
            let name: Option<String> = row.try_get("operator")?;
            let operator_no = Some(OperatorNo(holder_no));
            let holder = role
                .and_then(|role| role.parse().ok())
                .zip(name)
                .map(|(role, name)| OperatorCaller { operator_no, name, role, client });
            return Ok(holder.map(TokenHolder::Operator));
        }
        let Some((client_no, client)) = client else {
            return Ok(None);
        };
        if kind == TokenKind::Acs.as_str() {
            let name: Option<String> = row.try_get("acs")?;
            let limits = TokenLimits::read(&row)?;
            return Ok(name.map(|name| {
                TokenHolder::Acs(AcsCaller { client_no, client, acs_no: AcsNo(holder_no), name, limits })
            }));
        }
        let employee_no: Option<EmployeeNo> = row.try_get("employee_no")?;
        let device_id: Option<Uuid> = row.try_get("device_id")?;
        let channel: Option<ChannelKind> = row.try_get("channel")?;
        let blocked = row.try_get::<Option<i64>, _>("blocked_at")?.is_some();
        Ok(employee_no.zip(device_id).zip(channel).map(|((employee_no, device_id), channel)| {
            TokenHolder::Device(DeviceCaller {
                client_no,
                client,
                employee_no,
                device_no: DeviceNo(holder_no),
                device_id,
                channel,
                blocked,
            })
        }))
    }

    /// The number of the client with this slug; archived ones are not found.
    pub async fn client_no(&self, slug: &str) -> Result<Option<ClientNo>> {
        Ok(query_scalar("select no from client where slug = $1 and archived_at is null")
            .bind(slug)
            .fetch_optional(&mut *self.read_promptly().await?)
            .await?)
    }

    /// Whether there is any client, archived ones included.
    pub async fn has_clients(&self) -> Result<bool> {
        Ok(query_scalar("select exists (select 1 from client)")
            .fetch_one(&mut *self.read_promptly().await?)
            .await?)
    }

    /// The only client, with its slug; `None` when there are none or several.
    pub async fn only_client(&self) -> Result<Option<(ClientNo, String)>> {
        let mut clients: Vec<(ClientNo, String)> =
            query_as("select no, slug from client where archived_at is null limit 2")
                .fetch_all(&mut *self.read_promptly().await?)
                .await?;
        Ok(if clients.len() == 1 { clients.pop() } else { None })
    }
}
