-- The same tables as SQLite's; what differs says why. Names are compared bytewise on both (collation "C").
-- Times are microseconds since 1970 (UTC), ids UUIDv7. `client_id` leads every key that a client's
-- query uses, so that a distributed database can shard by it.

create table client (
    id uuid not null primary key,
    slug text collate "C" not null unique,
    name text collate "C" not null,
    timezone text not null,
    payload text not null default 'full',
    notification boolean not null default false,
    default_ttl bigint not null, -- seconds
    retention_days bigint,
    next_ordinal bigint not null default 1,
    created_at bigint not null,
    archived_at bigint
);

create table acs (
    client_id uuid not null,
    id uuid not null,
    name text collate "C" not null,
    created_at bigint not null,
    archived_at bigint,
    primary key (client_id, id)
);
create unique index acs_name on acs (client_id, name);

-- `client_id` is null for an owner.
create table operator (
    id uuid not null primary key,
    client_id uuid,
    name text collate "C" not null unique,
    role text collate "C" not null,
    created_at bigint not null,
    archived_at bigint
);

create table token (
    id uuid not null primary key,
    client_id uuid,
    hash bytea not null unique, -- SHA-256 of the token; the token itself is stored nowhere
    kind text not null, -- acs, operator, device
    holder_id uuid not null, -- the row of acs, operator or device
    name text collate "C" not null,
    shown text not null, -- its first characters, to recognise it by
    personal boolean not null default true, -- acs: may send without a topic
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);
create index token_holder on token (client_id, holder_id);

create table employee (
    client_id uuid not null,
    id uuid not null,
    ordinal bigint not null, -- small number within the client, for compact audiences
    personnel_no text collate "C" not null,
    full_name text not null,
    folded_name text not null, -- for search
    sort_key bytea not null, -- for sorting, compared bytewise
    email text,
    phone text,
    locale text,
    timezone text,
    devices bigint not null default 0, -- devices that are not retired
    created_at bigint not null,
    blocked_at bigint,
    archived_at bigint,
    primary key (client_id, id)
);
create unique index employee_personnel_no on employee (client_id, personnel_no);
-- Covers the freezing of an audience: one narrow scan per client.
create unique index employee_ordinal on employee (client_id, ordinal) include (archived_at, blocked_at, devices);
create unique index employee_sort on employee (client_id, sort_key); -- ends with the personnel number

create table "group" (
    client_id uuid not null,
    id uuid not null,
    slug text collate "C" not null,
    name text collate "C" not null,
    created_at bigint not null,
    archived_at bigint,
    primary key (client_id, id)
);
create unique index group_slug on "group" (client_id, slug);

create table group_member (
    client_id uuid not null,
    group_id uuid not null,
    employee_id uuid not null,
    primary key (client_id, group_id, employee_id)
);
create index group_member_employee on group_member (client_id, employee_id, group_id);

create table topic (
    client_id uuid not null,
    id uuid not null,
    slug text collate "C" not null,
    name text collate "C" not null,
    created_at bigint not null,
    archived_at bigint,
    primary key (client_id, id)
);
create unique index topic_slug on topic (client_id, slug);

-- To an employee, to a group, or (neither) to everyone.
create table topic_grant (
    client_id uuid not null,
    id uuid not null,
    topic_id uuid not null,
    employee_id uuid,
    group_id uuid,
    created_at bigint not null,
    primary key (client_id, id)
);
create unique index topic_grant_once
    on topic_grant (client_id, topic_id, coalesce(employee_id, '00000000-0000-0000-0000-000000000000'::uuid),
    coalesce(group_id, '00000000-0000-0000-0000-000000000000'::uuid));
create index topic_grant_employee on topic_grant (client_id, employee_id) where employee_id is not null;

create table device (
    client_id uuid not null,
    id uuid not null,
    employee_id uuid not null,
    channel text not null,
    address text collate "C",
    address_kind text not null default 'token',
    name text collate "C" not null,
    platform text not null,
    paired_at bigint not null,
    seen_at bigint,
    -- A provider called the address dead: no pushes but one later probe; then retired.
    quarantined_at bigint,
    retired_at bigint,
    reason text, -- why quarantined or retired
    primary key (client_id, id)
);
create index device_employee on device (client_id, employee_id) where retired_at is null;
create index device_address on device (channel, address) where retired_at is null and address is not null;

-- Pairing codes: hashed, single-use, short-lived.
create table invite (
    code_hash bytea not null primary key,
    client_id uuid not null,
    employee_id uuid not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint
);

-- Failed pairings per address and hour, so that guessing stays hopeless on any number of instances.
create table pairing_failure (
    address text collate "C" not null,
    hour bigint not null, -- hours since 1970
    count bigint not null,
    primary key (address, hour)
);

create table message (
    seq bigint primary key generated always as identity, -- the word index's row; in commit order
    client_id uuid not null,
    id uuid not null,
    acs_id uuid, -- null: an operator posted it
    operator_id uuid,
    topic_id uuid, -- null: personal
    title text not null,
    body text not null,
    priority bigint not null, -- 0 low … 3 critical
    data text, -- a JSON object
    recipients text, -- as posted: JSON; null: the holders of the topic's grants
    require_ack boolean not null,
    external_id text collate "C",
    fingerprint bytea, -- of the meaning, where a key may bring the same message again
    accepted_at bigint not null, -- a scheduled one: when it came due
    send_at bigint,
    expires_at bigint not null,
    canceled_at bigint,
    due_at bigint, -- not null while it waits for send_at
    allow_empty boolean not null default false,
    accepted bigint not null default 0,
    without_device bigint not null default 0,
    denied bigint not null default 0,
    unknown text -- JSON array of names
);
create unique index message_id on message (client_id, id);
create index message_accepted on message (client_id, accepted_at, id);
create unique index message_external on message (client_id, external_id, coalesce(acs_id, '00000000-0000-0000-0000-000000000000'::uuid))
    where external_id is not null;
-- What history's rarer filters start from.
create index message_topic on message (client_id, topic_id, accepted_at, id) where topic_id is not null;
create index message_acs on message (client_id, acs_id, accepted_at, id) where acs_id is not null;
create index message_urgent on message (client_id, priority, accepted_at, id) where priority >= 2;
create index message_ack on message (client_id, accepted_at, id) where require_ack;
create index message_due on message (due_at) where due_at is not null;

-- Idempotency-Key, per ACS, kept 72 hours.
create table idempotency (
    client_id uuid not null,
    acs_id uuid not null,
    key text collate "C" not null,
    message_id uuid not null,
    fingerprint bytea not null,
    created_at bigint not null,
    primary key (client_id, acs_id, key)
);
create index idempotency_age on idempotency (created_at);

-- A large message's frozen audience: per reason, the ordinals of the employees as a Roaring bitmap. Expanded into
-- deliveries step by step; the row goes when its last employee has his delivery.
create table audience (
    client_id uuid not null,
    message_id uuid not null,
    part bigint not null,
    reason text, -- why they are denied; null: they receive it
    target text not null,
    target_id uuid,
    grant_id uuid,
    members bytea not null,
    next_ordinal bigint not null default 0, -- everyone below has his delivery
    created_at bigint not null,
    primary key (client_id, message_id, part)
);

-- One message for one employee: the row of history. Facts are stored, the state is derived.
create table delivery (
    client_id uuid not null,
    message_id uuid not null,
    employee_id uuid not null,
    accepted_at bigint not null, -- the message's, for the keyset of history
    expires_at bigint not null,
    sent_at bigint,
    delivered_at bigint,
    read_at bigint,
    acknowledged_at bigint,
    phone_delivered_at bigint,
    phone_read_at bigint,
    phone_acknowledged_at bigint,
    outcome text, -- failed, expired, canceled, denied
    reason text,
    outcome_at bigint,
    target text not null, -- employee, group, everyone, grant: which target named him
    target_id uuid,
    grant_id uuid, -- which grant let him in
    -- The same expression as simo_common::delivery::Facts::state.
    state bigint not null generated always as (
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
    ) stored,
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
    seq bigint primary key generated always as identity,
    client_id uuid not null,
    message_id uuid not null,
    employee_id uuid not null,
    device_id uuid not null,
    channel text not null,
    urgency bigint not null, -- the message's priority: more urgent ones overtake
    due_at bigint not null,
    tries bigint not null default 0,
    last_tried_at bigint,
    last_answer text,
    sent_at bigint, -- a provider accepted it
    done_at bigint, -- nothing is left to do
    outcome text, -- accepted, received, failed, expired, canceled
    reason text,
    -- Which claim holds it, and until when by the server's clock: instances come and go, and their clocks differ.
    claim bigint,
    held_until timestamptz,
    unique (client_id, message_id, employee_id, device_id)
);
-- What dispatch claims, and what the holder of a stream asks for. Both shrink as work is done.
create index push_due on push (channel, client_id, urgency, due_at, message_id)
    where done_at is null and channel <> 'stream';
create index push_stream on push (client_id, device_id, message_id) where done_at is null and channel = 'stream';

-- The live feed, in commit order. Kept for a day; an older cursor is told to start anew.
create table event (
    seq bigint primary key generated always as identity,
    -- Transactions commit in another order than they take numbers: readers stop before the oldest that still runs.
    xact xid8 not null default pg_current_xact_id(),
    client_id uuid not null,
    acs_id uuid,
    at bigint not null,
    kind text not null, -- accepted, delivery, canceled
    message_id uuid not null,
    employee_id uuid
);
create index event_client on event (client_id, xact, seq);
create index event_order on event (xact, seq);
-- The newest event that is forgotten: a reader who stands before it has missed something.
create table event_floor (
    xact xid8 not null,
    seq bigint not null
);
insert into event_floor values ('0', 0);

-- The words of a message under its seq: as they are, and their stems, each with its places. The program cuts and folds
-- them, and puts a mark before each that tells the two kinds and the clients apart (simo_common::text, store/words.rs).
create table message_word (
    seq bigint primary key,
    words tsvector not null
);
create index message_word_words on message_word using gin (words);

-- Messages whose words are not in the index yet. Their seqs do not come in the order of the commits, so that no newest
-- one tells what is done.
create table message_unworded (
    seq bigint primary key
);

create sequence push_claim;
