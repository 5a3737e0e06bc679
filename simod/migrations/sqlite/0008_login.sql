-- The one-time code with which an operator logs in: he has one at most, and none once it was used.
create table login_code (
    operator_id blob not null primary key,
    code_hash blob not null unique,
    created_at integer not null,
    expires_at integer not null
) without rowid;
