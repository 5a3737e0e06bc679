-- Times are microseconds since 1970 (UTC), ids UUIDv7 as 16 bytes. `client_id` leads every key that a client's
-- query uses, so that a distributed database can shard by it.

create table client (
    id blob not null primary key,
    slug text not null unique,
    name text not null,
    timezone text not null,
    payload text not null default 'full',
    notification integer not null default 0,
    default_ttl integer not null, -- seconds
    retention_days integer,
    next_ordinal integer not null default 1,
    created_at integer not null,
    archived_at integer
);

create table acs (
    client_id blob not null,
    id blob not null,
    name text not null,
    created_at integer not null,
    archived_at integer,
    primary key (client_id, id)
) without rowid;
create unique index acs_name on acs (client_id, name);

-- `client_id` is null for an owner.
create table operator (
    id blob not null primary key,
    client_id blob,
    name text not null unique,
    role text not null,
    created_at integer not null,
    archived_at integer
);

create table token (
    id blob not null primary key,
    client_id blob,
    hash blob not null unique, -- SHA-256 of the token; the token itself is stored nowhere
    kind text not null, -- acs, operator, device
    holder_id blob not null, -- the row of acs, operator or device
    name text not null,
    shown text not null, -- its first characters, to recognise it by
    personal integer not null default 1, -- acs: may send without a topic
    created_at integer not null,
    expires_at integer,
    revoked_at integer
);
create index token_holder on token (client_id, holder_id);

create table employee (
    client_id blob not null,
    id blob not null,
    ordinal integer not null, -- small number within the client, for compact audiences
    personnel_no text not null,
    full_name text not null,
    folded_name text not null, -- for search
    sort_key blob not null, -- for sorting, compared bytewise
    email text,
    phone text,
    locale text,
    timezone text,
    devices integer not null default 0, -- devices that are not retired
    created_at integer not null,
    blocked_at integer,
    archived_at integer,
    primary key (client_id, id)
) without rowid;
create unique index employee_personnel_no on employee (client_id, personnel_no);
-- Covers the freezing of an audience: one narrow scan per client.
create unique index employee_ordinal on employee (client_id, ordinal, archived_at, blocked_at, devices);
create unique index employee_sort on employee (client_id, sort_key); -- ends with the personnel number

create table "group" (
    client_id blob not null,
    id blob not null,
    slug text not null,
    name text not null,
    created_at integer not null,
    archived_at integer,
    primary key (client_id, id)
) without rowid;
create unique index group_slug on "group" (client_id, slug);

create table group_member (
    client_id blob not null,
    group_id blob not null,
    employee_id blob not null,
    primary key (client_id, group_id, employee_id)
) without rowid;
create index group_member_employee on group_member (client_id, employee_id, group_id);

create table topic (
    client_id blob not null,
    id blob not null,
    slug text not null,
    name text not null,
    created_at integer not null,
    archived_at integer,
    primary key (client_id, id)
) without rowid;
create unique index topic_slug on topic (client_id, slug);

-- To an employee, to a group, or (neither) to everyone.
create table topic_grant (
    client_id blob not null,
    id blob not null,
    topic_id blob not null,
    employee_id blob,
    group_id blob,
    created_at integer not null,
    primary key (client_id, id)
) without rowid;
create unique index topic_grant_once
    on topic_grant (client_id, topic_id, coalesce(employee_id, x'00000000000000000000000000000000'),
    coalesce(group_id, x'00000000000000000000000000000000'));
create index topic_grant_employee on topic_grant (client_id, employee_id) where employee_id is not null;

create table device (
    client_id blob not null,
    id blob not null,
    employee_id blob not null,
    channel text not null,
    address text,
    address_kind text not null default 'token',
    name text not null,
    platform text not null,
    paired_at integer not null,
    seen_at integer,
    -- A provider called the address dead: no pushes but one later probe; then retired.
    quarantined_at integer,
    retired_at integer,
    reason text, -- why quarantined or retired
    primary key (client_id, id)
) without rowid;
create index device_employee on device (client_id, employee_id) where retired_at is null;
create index device_address on device (channel, address) where retired_at is null and address is not null;

-- Pairing codes: hashed, single-use, short-lived.
create table invite (
    code_hash blob not null primary key,
    client_id blob not null,
    employee_id blob not null,
    created_at integer not null,
    expires_at integer not null,
    used_at integer
) without rowid;

-- Failed pairings per address and hour, so that guessing stays hopeless on any number of instances.
create table pairing_failure (
    address text not null,
    hour integer not null, -- hours since 1970
    count integer not null,
    primary key (address, hour)
) without rowid;

create table message (
    seq integer primary key autoincrement, -- the word index's row; in commit order
    client_id blob not null,
    id blob not null,
    acs_id blob, -- null: an operator posted it
    operator_id blob,
    topic_id blob, -- null: personal
    title text not null,
    body text not null,
    priority integer not null, -- 0 low … 3 critical
    data text, -- a JSON object
    recipients text, -- as posted: JSON; null: the holders of the topic's grants
    require_ack integer not null,
    external_id text,
    fingerprint blob, -- of the meaning, where a key may bring the same message again
    accepted_at integer not null, -- a scheduled one: when it came due
    send_at integer,
    expires_at integer not null,
    canceled_at integer,
    due_at integer, -- not null while it waits for send_at
    allow_empty integer not null default 0,
    accepted integer not null default 0,
    without_device integer not null default 0,
    denied integer not null default 0,
    unknown text -- JSON array of names
);
create unique index message_id on message (client_id, id);
create index message_accepted on message (client_id, accepted_at, id);
create unique index message_external on message (client_id, external_id, coalesce(acs_id, x'00000000000000000000000000000000'))
    where external_id is not null;
-- What history's rarer filters start from.
create index message_topic on message (client_id, topic_id, accepted_at, id) where topic_id is not null;
create index message_acs on message (client_id, acs_id, accepted_at, id) where acs_id is not null;
create index message_urgent on message (client_id, priority, accepted_at, id) where priority >= 2;
create index message_ack on message (client_id, accepted_at, id) where require_ack;
create index message_due on message (due_at) where due_at is not null;

-- Idempotency-Key, per ACS, kept 72 hours.
create table idempotency (
    client_id blob not null,
    acs_id blob not null,
    key text not null,
    message_id blob not null,
    fingerprint blob not null,
    created_at integer not null,
    primary key (client_id, acs_id, key)
) without rowid;
create index idempotency_age on idempotency (created_at);

-- A large message's frozen audience: per reason, the ordinals of the employees as a Roaring bitmap. Expanded into
-- deliveries step by step; the row goes when its last employee has his delivery.
create table audience (
    client_id blob not null,
    message_id blob not null,
    part integer not null,
    reason text, -- why they are denied; null: they receive it
    target text not null,
    target_id blob,
    grant_id blob,
    members blob not null,
    next_ordinal integer not null default 0, -- everyone below has his delivery
    created_at integer not null,
    primary key (client_id, message_id, part)
) without rowid;

-- One message for one employee: the row of history. Facts are stored, the state is derived.
create table delivery (
    client_id blob not null,
    message_id blob not null,
    employee_id blob not null,
    accepted_at integer not null, -- the message's, for the keyset of history
    expires_at integer not null,
    sent_at integer,
    delivered_at integer,
    read_at integer,
    acknowledged_at integer,
    phone_delivered_at integer,
    phone_read_at integer,
    phone_acknowledged_at integer,
    outcome text, -- failed, expired, canceled, denied
    reason text,
    outcome_at integer,
    target text not null, -- employee, group, everyone, grant: which target named him
    target_id blob,
    grant_id blob, -- which grant let him in
    -- The same expression as simo_common::delivery::Facts::state.
    state integer not null generated always as (
        case
            when acknowledged_at is not null then 4
            when read_at is not null then 3
            when delivered_at is not null then 2
            when outcome = 'failed' then 5
            when outcome = 'expired' then 6
            when outcome = 'canceled' then 7
            when outcome = 'denied' then 8
            when sent_at is not null then 1
            else 0
        end
    ) virtual,
    primary key (client_id, message_id, employee_id)
);
create index delivery_date on delivery (client_id, accepted_at, message_id, employee_id);
create index delivery_employee on delivery (client_id, employee_id, accepted_at, message_id);
create index delivery_state on delivery (client_id, state, accepted_at, message_id, employee_id);
create index delivery_reason on delivery (client_id, reason, accepted_at, message_id, employee_id)
    where reason is not null;
create index delivery_expiry on delivery (expires_at) where state = 0;

-- One delivery on its way to one device: the unit of work.
create table push (
    seq integer primary key,
    client_id blob not null,
    message_id blob not null,
    employee_id blob not null,
    device_id blob not null,
    channel text not null,
    urgency integer not null, -- the message's priority: more urgent ones overtake
    due_at integer not null,
    tries integer not null default 0,
    last_tried_at integer,
    last_answer text,
    sent_at integer, -- a provider accepted it
    done_at integer, -- nothing is left to do
    outcome text, -- accepted, received, failed, expired, canceled
    reason text,
    unique (client_id, message_id, employee_id, device_id)
);
-- What dispatch claims, and what the holder of a stream asks for. Both shrink as work is done.
create index push_due on push (channel, client_id, urgency, due_at, message_id)
    where done_at is null and channel <> 'stream';
create index push_stream on push (client_id, device_id, message_id) where done_at is null and channel = 'stream';

-- The live feed, in commit order. Kept for a day; an older cursor is told to start anew.
create table event (
    seq integer primary key autoincrement,
    client_id blob not null,
    acs_id blob,
    at integer not null,
    kind text not null, -- accepted, delivery, canceled
    message_id blob not null,
    employee_id blob
);
create index event_client on event (client_id, seq);

-- The words of a message under its seq: as they are, and their stems. The program cuts and folds them, and puts a mark
-- of the client before each (simo_common::text, store/words.rs); `ascii` leaves everything between spaces alone.
create virtual table message_word using fts5 (
    surface, stems, content = '', contentless_delete = 1, tokenize = "ascii"
);
