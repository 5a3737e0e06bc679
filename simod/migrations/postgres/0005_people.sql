-- Under which number an employee was known until a successor got it.
alter table employee add column former_no text collate "C";

-- Pairing codes that were made together, and are withdrawn together.
create table invite_batch (
    client_id uuid not null,
    id uuid not null,
    name text collate "C" not null,
    created_at bigint not null,
    expires_at bigint not null,
    primary key (client_id, id)
);
alter table invite add column batch_id uuid;
alter table invite add column withdrawn_at bigint;
create index invite_of_batch on invite (client_id, batch_id) where batch_id is not null;

-- Whether the phone lets the app show anything; null: it has not said so.
alter table device add column notifications boolean;
