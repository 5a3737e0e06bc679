//! Operators log in: a one-time code, handed over by an administrator, is exchanged for a token of that machine. The
//! database knows only the code's SHA-256.

use simo_common::{
    api::{access::IssuedToken, login::LoginCode},
    time::{SECOND, from_us},
    token::{self, TokenKind},
};

use super::{
    sessions::{session, told},
    wrong_codes,
};
use crate::{
    actor,
    store::{
        ClientNo, OperatorNo, Result, SERVER, Store, TokenTerms, Write,
        audit::AuditChange,
        db::engine::query,
        directory::{
            by_name::live_operator,
            tokens::{NewToken, insert_token},
        },
    },
};

/// A session to be created for a machine that logs in.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Hash of the one-time code, as it was normalised.
    pub code_hash: [u8; 32],
    /// The session's name.
    pub name: String,
    /// How long it lasts.
    pub valid_for_seconds: i64,
}

/// The result of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedIn {
    /// The operator is logged in, with this token.
    Done(IssuedToken),
    /// The code is unknown, used or expired; the failure is counted.
    WrongCode,
    /// Too many wrong codes came from this network address.
    TooMany {
        /// Seconds until it may try again.
        retry_after: u32,
    },
    /// Too many unknown codes were looked up in this second, so this one was not.
    NextSecond,
}

/// The operator of a valid code.
struct Invited {
    operator_no: OperatorNo,
    client_no: Option<ClientNo>,
    name: String,
}

impl Store {
    /// Makes a code with which an operator of one client, or of all, logs in once. Their previous code stops working.
    /// The caller adds the address to log in at.
    ///
    /// # Errors
    /// [`crate::store::Error::NotFound`] when there is no such operator, or they are archived.
    pub async fn login_code(
        &self,
        within: Option<ClientNo>,
        name: &str,
        valid_for_seconds: i64,
    ) -> Result<LoginCode> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let code = insert_code(&mut tx, within, name, valid_for_seconds, now).await?;
        tx.commit().await?;
        Ok(code)
    }

    /// Logs in a machine that calls from the network address `from`; the code is used up.
    pub async fn log_in(&self, from: &str, new: &NewSession) -> Result<LoggedIn> {
        let now = self.clock.now();
        // Checked before taking the writer: guessing must not make others wait.
        if let Some(retry_after) = wrong_codes::too_many_logins(&mut *self.read().await?, from, now).await? {
            return Ok(LoggedIn::TooMany { retry_after });
        }
        let Some(mut tx) = wrong_codes::look_up(self, now).await? else {
            return Ok(LoggedIn::NextSecond);
        };
        if let Some(retry_after) = wrong_codes::too_many_logins(&mut tx, from, now).await? {
            return Ok(LoggedIn::TooMany { retry_after });
        }
        let Some(operator) = invited(&mut tx, &new.code_hash, now).await? else {
            wrong_codes::login_failed(tx, from, now).await?;
            return Ok(LoggedIn::WrongCode);
        };
        wrong_codes::is_known(&mut tx, now).await?;
        let used = query("delete from login_code where operator_no = $1 and code_hash = $2")
            .bind(operator.operator_no)
            .bind(new.code_hash.as_slice())
            .execute(&mut tx)
            .await?;
        if used.rows_affected() == 0 {
            // Another machine used the code first.
            return Ok(LoggedIn::WrongCode);
        }
        let terms = TokenTerms {
            name: Some(new.name.clone()),
            expires_at: Some(now + new.valid_for_seconds * SECOND),
            ..TokenTerms::default()
        };
        let token = NewToken {
            client_no: operator.client_no,
            kind: TokenKind::Operator,
            holder_no: operator.operator_no.0,
            holder: &operator.name,
            terms: &terms,
        };
        let issued = insert_token(&mut tx, &token, now).await?;
        actor::identify(|| format!("operator {}", operator.name));
        let begun = session(&mut tx, operator.client_no, operator.operator_no, issued.id).await?;
        let change = AuditChange::new("session.begin", &*operator.name).after(&told(&begun));
        tx.record(operator.client_no.unwrap_or(SERVER), change);
        tx.commit().await?;
        Ok(LoggedIn::Done(issued))
    }
}

/// Makes an operator's code, and records it in the audit.
pub(in crate::store) async fn insert_code(
    tx: &mut Write,
    within: Option<ClientNo>,
    name: &str,
    valid_for_seconds: i64,
    now: i64,
) -> Result<LoginCode> {
    let (operator_no, client_no) = live_operator(tx, within, name).await?;
    let made = LoginCode {
        operator: name.to_owned(),
        code: token::generate_code(),
        server: String::new(),
        expires_at: from_us(now + valid_for_seconds * SECOND),
    };
    query(
        "insert into login_code (operator_no, code_hash, created_at, expires_at) values ($1, $2, $3, $4)
         on conflict (operator_no) do update set
             code_hash = excluded.code_hash, created_at = excluded.created_at, expires_at = excluded.expires_at",
    )
    .bind(operator_no)
    .bind(token::hash(&token::normalize_code(&made.code)).as_slice())
    .bind(now)
    .bind(made.expires_at.as_microsecond())
    .execute(tx)
    .await?;
    let works = serde_json::json!({ "expires_at": made.expires_at });
    let change = AuditChange::new("session.invite", name).after(&works);
    tx.record(client_no.unwrap_or(SERVER), change);
    Ok(made)
}

/// Withdraws the operator's code, if there is one.
pub(in crate::store) async fn withdraw_code(tx: &mut Write, operator_no: OperatorNo) -> Result<()> {
    query("delete from login_code where operator_no = $1").bind(operator_no).execute(tx).await?;
    Ok(())
}

async fn invited(tx: &mut Write, code_hash: &[u8; 32], now: i64) -> Result<Option<Invited>> {
    // A concurrent archiving of the operator must see the new token, to revoke it. Everything locks the operator's row
    // before the code's.
    let lock = tx.locked("o");
    let row = query(format!(
        "select o.no, o.client_no, o.name
         from login_code l
         join operator o on o.no = l.operator_no and o.archived_at is null
         left join client c on c.no = o.client_no
         where l.code_hash = $1 and l.expires_at > $2 and c.archived_at is null{lock}"
    ))
    .bind(code_hash.as_slice())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Invited {
        operator_no: row.try_get("no")?,
        client_no: row.try_get("client_no")?,
        name: row.try_get("name")?,
    }))
}
