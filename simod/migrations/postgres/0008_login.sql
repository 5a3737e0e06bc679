-- The one-time code with which an operator logs in: he has one at most, and none once it was used.
create table login_code (
    operator_id uuid not null primary key,
    code_hash bytea not null unique,
    created_at bigint not null,
    expires_at bigint not null
);
