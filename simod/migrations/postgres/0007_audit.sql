-- Who changed what: one chain per client (the nil id: what belongs to none). The program makes the hashes
-- (simo_common::audit).
create table audit (
    client_id uuid not null,
    seq bigint not null,
    at bigint not null,
    action text not null,
    payload_hash bytea not null,
    hash bytea not null, -- over this entry and the hash before
    primary key (client_id, seq)
);

-- What entries say of people: JSON, hashed as it stands. Rows may be erased, not changed.
create table audit_payload (
    client_id uuid not null,
    seq bigint not null,
    employee_id uuid, -- whom it is about
    payload text not null,
    primary key (client_id, seq)
);
create index audit_payload_employee on audit_payload (client_id, employee_id, seq) where employee_id is not null;

-- Where a chain ends. `revision` counts the changes of what a site file describes.
create table audit_head (
    client_id uuid not null primary key,
    seq bigint not null,
    hash bytea not null,
    revision bigint not null
);

-- Not for `truncate`, with which a copy begins anew.
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit is append-only';
end $$;
create trigger audit_stays before update or delete on audit
    for each statement execute function audit_is_append_only();
create trigger audit_payload_stays before update on audit_payload
    for each statement execute function audit_is_append_only();
