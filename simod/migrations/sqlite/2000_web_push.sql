-- Web Push, and the web app.

-- What is so of this installation as a whole.
create table installation (
    name text not null primary key,
    value text not null
) without rowid;

-- Where a browser's push service takes its pushes: one browser has one, of all clients together.
alter table device add column endpoint text;
create unique index device_endpoint on device (endpoint) where retired_at is null and endpoint is not null;
alter table device add column lang text; -- in which its pushes are written
-- Of the code and the key with which it was paired: who has both may ask for the token once more.
alter table device add column pairing_key blob;
create index device_pairing_key on device (pairing_key) where pairing_key is not null;

alter table client add column webpush text not null default 'text'; -- or: doorbell

-- Who acknowledged at a screen that several people share.
create table receipt_name (
    client_no integer not null,
    message_no integer not null,
    employee_no integer not null,
    name text not null,
    primary key (client_no, message_no, employee_no)
) without rowid;
