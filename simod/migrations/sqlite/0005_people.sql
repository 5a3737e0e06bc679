-- Under which number an employee was known until a successor got it.
alter table employee add column former_no text;

-- Pairing codes that were made together, and are withdrawn together.
create table invite_batch (
    client_id blob not null,
    id blob not null,
    name text not null,
    created_at integer not null,
    expires_at integer not null,
    primary key (client_id, id)
) without rowid;
alter table invite add column batch_id blob;
alter table invite add column withdrawn_at integer;
create index invite_of_batch on invite (client_id, batch_id) where batch_id is not null;

-- Whether the phone lets the app show anything; null: it has not said so.
alter table device add column notifications integer;
