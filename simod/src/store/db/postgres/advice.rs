//! Advice when a server refuses us: the next step for the person who runs it.

use simo_common::{lang::Text, text};
use sqlx::{PgConnection, error::DatabaseError, migrate::MigrateError, postgres::PgConnectOptions};

use crate::store::{Error, Result};

/// PgBouncer's message before the name of a startup parameter that it does not pass on.
const UNSUPPORTED: &str = "unsupported startup parameter: ";

/// Whether PgBouncer, which has one code for all its own errors, will keep refusing.
pub(super) fn is_poolers_refusal(message: &str) -> bool {
    ["no such ", "password authentication failed", "SASL authentication failed", UNSUPPORTED]
        .iter()
        .any(|beginning| message.starts_with(beginning))
}

/// Advice about a refused connection.
pub(super) fn on_connecting(error: &sqlx::Error, options: &PgConnectOptions) -> Option<Text> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    let role = identifier(options.get_username());
    let database = identifier(options.get_database().unwrap_or(options.get_username()));
    if let Some(word) = error.message().strip_prefix(UNSUPPORTED) {
        return Some(text!(
            "PgBouncer does not pass `{word}` on: set `ignore_startup_parameters = {word}` in its configuration, or leave it \
             out of the URL and of PGOPTIONS",
            "PgBouncer не передаёт `{word}` дальше: укажите в его конфигурации `ignore_startup_parameters = {word}` или уберите \
             это из адреса и из PGOPTIONS"
        ));
    }
    match &*error.code()? {
        "28P01" => Some(text!(
            "Check the user and the password: in the URL (percent-encoded), in PGPASSWORD or in ~/.pgpass",
            "Проверьте пользователя и пароль: в адресе (символы закодированы через %), в PGPASSWORD или в ~/.pgpass"
        )),
        "28000" => Some(text!(
            "Create the role (`create role {role} login`), or let it in from here in the server's pg_hba.conf",
            "Создайте роль (`create role {role} login`) или разрешите ей вход отсюда в pg_hba.conf сервера"
        )),
        "3D000" => Some(text!(
            "Create it: `create database {database} owner {role}`",
            "Создайте её: `create database {database} owner {role}`"
        )),
        "42501" => Some(text!(
            "As the owner of the database: `grant connect on database {database} to {role}`",
            "От имени владельца базы данных: `grant connect on database {database} to {role}`"
        )),
        _ => None,
    }
}

fn identifier(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    if name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The rights that our role lacks in its schema, as statements for the owner of the database. Migrations change tables,
/// so the role has to own them: it becomes a member of the owning role; but never of a superuser.
const GRANTS: &str = "
    select format('grant create, usage on schema %I to %I', nspname, current_user) from pg_namespace
    where nspname = coalesce(current_schema(), 'public')
      and not (has_schema_privilege(oid, 'create') and has_schema_privilege(oid, 'usage'))
    union all
    select distinct case when rolsuper
        then format('grant all on all tables in schema %1$I to %2$I; grant all on all sequences in schema %1$I to %2$I',
                    schemaname, current_user)
        else format('grant %I to %I', tableowner, current_user) end
    from pg_tables join pg_roles on rolname = tableowner
    where schemaname = coalesce(current_schema(), 'public') and tablename in ('_sqlx_migrations', 'client')
      and not pg_has_role(tableowner, 'usage')";

/// The same error or, where tables could not be created or read for lack of rights, the missing rights.
pub(super) async fn on_migrating(connection: &mut PgConnection, error: Error) -> Error {
    let (Error::Internal(cause)
    | Error::Migrate(MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _))) = &error
    else {
        return error;
    };
    // No right to create something; no schema in which anything may be created.
    let code = cause.as_database_error().and_then(DatabaseError::code);
    if !code.is_some_and(|code| ["42501", "3F000"].contains(&&*code)) {
        return error;
    }
    match grants(connection).await {
        Ok(grants) if !grants.is_empty() => Error::Forbidden { said: cause.to_string(), grants },
        _ => error,
    }
}

async fn grants(connection: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(GRANTS).persistent(false).fetch_all(connection).await?)
}
