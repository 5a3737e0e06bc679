-- Posts of an ACS that were refused, by the hour.
create table refused_post (
    client_id uuid not null,
    hour bigint not null,
    token_id uuid not null,
    code text not null,
    field text not null, -- the first that was wrong; empty: none was
    count bigint not null,
    first_at bigint not null,
    last_at bigint not null,
    newest text not null, -- JSON: `at`, `title`, `external_id` of the newest ones
    primary key (client_id, hour, token_id, code, field)
);
create index refused_post_hour on refused_post (hour);
