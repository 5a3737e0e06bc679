-- Who changed what: one chain per client (16 zero bytes: what belongs to none). The program makes the hashes
-- (simo_common::audit).
create table audit (
    client_id blob not null,
    seq integer not null,
    at integer not null,
    action text not null,
    payload_hash blob not null,
    hash blob not null, -- over this entry and the hash before
    primary key (client_id, seq)
) without rowid;

-- What entries say of people: JSON, hashed as it stands. Rows may be erased, not changed.
create table audit_payload (
    client_id blob not null,
    seq integer not null,
    employee_id blob, -- whom it is about
    payload text not null,
    primary key (client_id, seq)
) without rowid;
create index audit_payload_employee on audit_payload (client_id, employee_id, seq) where employee_id is not null;

-- Where a chain ends. `revision` counts the changes of what a site file describes.
create table audit_head (
    client_id blob not null primary key,
    seq integer not null,
    hash blob not null,
    revision integer not null
) without rowid;

create trigger audit_stays before update on audit begin
    select raise(abort, 'the audit is append-only');
end;
create trigger audit_remains before delete on audit begin
    select raise(abort, 'the audit is append-only');
end;
create trigger audit_payload_stays before update on audit_payload begin
    select raise(abort, 'the audit is append-only');
end;
