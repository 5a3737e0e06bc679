-- Times are microseconds since 1970 (UTC). A thing has a number (`no`), by which all else refers to it (`client_no`), and
-- an id (UUIDv7) only where the API shows one. `client_no` leads every key that a client's large tables are read by, so that a
-- distributed database can shard by it.

create table client (
    no integer primary key autoincrement,
    slug text not null unique,
    name text not null,
    timezone text not null,
    payload text not null default 'full',
    notification integer not null default 0,
    default_ttl integer not null, -- seconds
    retention_days integer,
    next_employee_no integer not null default 1,
    created_at integer not null,
    archived_at integer
);

create table acs (
    client_no integer not null,
    no integer primary key autoincrement,
    name text not null,
    created_at integer not null,
    archived_at integer
);
create unique index acs_name on acs (client_no, name);

-- `client_no` is null for an owner.
create table operator (
    no integer primary key autoincrement,
    client_no integer,
    name text not null unique,
    role text not null,
    created_at integer not null,
    archived_at integer
);

-- The one-time code with which an operator logs in: he has one at most, and none once it was used.
create table login_code (
    operator_no integer not null primary key,
    code_hash blob not null unique,
    created_at integer not null,
    expires_at integer not null
) without rowid;

create table token (
    no integer primary key autoincrement,
    id blob not null unique,
    client_no integer,
    hash blob not null unique, -- SHA-256 of the token; the token itself is stored nowhere
    kind text not null, -- acs, operator, device
    holder_no integer not null, -- the row of acs, operator or device
    name text not null,
    shown text not null, -- its first characters, to recognise it by
    personal integer not null default 1, -- acs: may send without a topic
    -- What an ACS may do with a token. Null: everything, everywhere.
    scopes text, -- with commas between: send, read
    topics text, -- slugs, with commas between
    networks text, -- CIDR, with commas between
    rate_limit integer, -- requests a minute
    -- Whether it is answered 503 where others are answered 429: some systems repeat only what failed with 5xx.
    rate_limit_as_503 integer not null default 0,
    -- Whether messages with it are cut to their limits instead of being refused.
    fit integer not null default 0,
    successor_id blob, -- the token that takes over, while this one goes on for a while
    -- When it last let somebody in, and from where; written now and then.
    used_at integer,
    used_from text,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
);
create index token_holder on token (client_no, holder_no);
create index token_rate_limit on token (hash) where rate_limit is not null;
create index token_rate_limit_as_503 on token (hash) where rate_limit_as_503;
create index token_fit on token (hash) where fit;

-- `no` is small and counts within the client: audiences are sets of them.
create table employee (
    client_no integer not null,
    no integer not null,
    personnel_no text not null,
    former_no text, -- under which number he was known until a successor got it
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
    primary key (client_no, no)
) without rowid;
create unique index employee_personnel_no on employee (client_no, personnel_no);
-- Covers the freezing of an audience: one narrow scan per client.
create unique index employee_audience on employee (client_no, no, archived_at, blocked_at, devices);
-- Who is blocked now.
create index employee_blocked on employee (client_no, no) where blocked_at is not null;
create unique index employee_sort on employee (client_no, sort_key); -- ends with the personnel number

create table "group" (
    client_no integer not null,
    no integer primary key autoincrement,
    slug text not null,
    name text not null,
    created_at integer not null,
    archived_at integer
);
create unique index group_slug on "group" (client_no, slug);

create table group_member (
    client_no integer not null,
    group_no integer not null,
    employee_no integer not null,
    primary key (client_no, group_no, employee_no)
) without rowid;
create index group_member_employee on group_member (client_no, employee_no, group_no);

-- Groups within groups: who is in the included one is in the other one too. There are no loops.
create table group_inclusion (
    client_no integer not null,
    group_no integer not null,
    included_no integer not null,
    primary key (client_no, group_no, included_no)
) without rowid;
create index group_inclusion_included on group_inclusion (client_no, included_no, group_no);

create table topic (
    client_no integer not null,
    no integer primary key autoincrement,
    slug text not null,
    name text not null,
    -- What a message on the topic is that says nothing of it.
    priority integer,
    recipients text, -- JSON
    created_at integer not null,
    archived_at integer
);
create unique index topic_slug on topic (client_no, slug);

-- To an employee, to a group, or (neither) to everyone.
create table topic_grant (
    client_no integer not null,
    no integer primary key autoincrement,
    id blob not null,
    topic_no integer not null,
    employee_no integer,
    group_no integer,
    -- When it counts: not before, no longer, and at which hours of the week (simo_common::hours) in the client's zone.
    starts_at integer,
    ends_at integer,
    hours text,
    created_at integer not null
);
create unique index topic_grant_id on topic_grant (client_no, id);
create unique index topic_grant_once
    on topic_grant (client_no, topic_no, coalesce(employee_no, 0), coalesce(group_no, 0));
create index topic_grant_employee on topic_grant (client_no, employee_no) where employee_no is not null;

create table device (
    client_no integer not null,
    no integer primary key autoincrement,
    id blob not null,
    employee_no integer not null,
    channel integer not null, -- ChannelKind: pushed ones are positive
    address text, -- the channel's own value
    way_no integer not null default 1, -- which of its ways that is
    name text not null,
    platform text not null,
    notifications integer, -- whether the phone lets the app show anything; null: it has not said so
    paired_at integer not null,
    seen_at integer,
    -- A provider called the address dead: no pushes but one later probe; then retired.
    quarantined_at integer,
    retired_at integer,
    reason integer, -- why quarantined or retired
    -- The numbers of the first message that it counts for, and of the first that it does not: the triggers set them.
    since_no integer,
    until_no integer
);
create unique index device_id on device (client_no, id);
create index device_employee on device (client_no, employee_no) where retired_at is null;
create index device_owner on device (client_no, employee_no);
create index device_address on device (channel, address) where retired_at is null and address is not null;

-- The ways to a phone, that of now included, and what it was called: what was tried names the one that it went.
create table way (
    client_no integer not null,
    device_no integer not null,
    no integer not null,
    channel integer not null,
    address text,
    name text not null,
    since integer not null,
    primary key (client_no, device_no, no)
) without rowid;

-- Pairing codes: hashed, single-use, short-lived.
create table invite (
    code_hash blob not null primary key,
    client_no integer not null,
    employee_no integer not null,
    batch_no integer,
    created_at integer not null,
    expires_at integer not null,
    used_at integer,
    withdrawn_at integer
) without rowid;
create index invite_of_batch on invite (client_no, batch_no) where batch_no is not null;
-- A person's codes, which are withdrawn with him.
create index invite_employee on invite (client_no, employee_no) where used_at is null;

-- Pairing codes that were made together, and are withdrawn together.
create table invite_batch (
    client_no integer not null,
    no integer primary key autoincrement,
    id blob not null,
    name text not null,
    created_at integer not null,
    expires_at integer not null
);
create unique index invite_batch_id on invite_batch (client_no, id);

-- Failed pairings per address and hour, so that guessing stays hopeless on any number of instances.
create table pairing_failure (
    address text not null,
    hour integer not null, -- hours since 1970
    count integer not null,
    primary key (address, hour)
) without rowid;

-- Requests of tokens and failures of network addresses in the last minutes, of all instances together.
create table attempt (
    minute integer not null,
    key text not null, -- `token HASH`, `address ADDRESS`
    count integer not null,
    primary key (minute, key)
) without rowid;

-- Attempts that were refused, by the hour: outside the audit's chains, so that who guesses writes little.
create table refusal (
    client_no integer not null, -- 0: nobody knows whose
    hour integer not null,
    address text not null,
    reason text not null,
    count integer not null,
    first_at integer not null,
    last_at integer not null,
    primary key (client_no, hour, address, reason)
) without rowid;
create index refusal_hour on refusal (hour);

-- Posts of an ACS that were refused, by the hour.
create table refused_post (
    client_no integer not null,
    hour integer not null,
    token_no integer not null,
    code text not null,
    field text not null, -- the first that was wrong; empty: none was
    count integer not null,
    first_at integer not null,
    last_at integer not null,
    newest text not null, -- JSON: `at`, `title`, `external_id` of the newest ones
    primary key (client_no, hour, token_no, code, field)
);
create index refused_post_hour on refused_post (hour);

-- A message that waits for its time has a negative number. When it comes due it gets one of its own: numbers from 1 on
-- ascend with the acceptance of messages.
create table message (
    no integer primary key autoincrement,
    client_no integer not null,
    id blob not null,
    acs_no integer, -- null: an operator posted it
    operator_no integer,
    topic_no integer, -- null: personal
    title text not null,
    body text not null,
    priority integer not null, -- 0 low … 3 critical
    data text, -- a JSON object
    recipients text, -- as posted: JSON; null: the holders of the topic's grants
    require_ack integer not null,
    external_id text,
    fingerprint integer, -- of the meaning, where a key may bring the same message again
    fitted text, -- which parts were cut to their limits: a JSON list; null: none
    accepted_at integer not null, -- a scheduled one: when it came due
    expires_at integer not null,
    send_at integer,
    waited_as integer, -- the number that it had while it waited
    canceled_at integer,
    cancel_reason integer, -- why simod canceled it itself; null: somebody did
    allow_empty integer not null default 0,
    accepted integer not null default 0,
    without_device integer not null default 0,
    denied integer not null default 0,
    unknown text -- JSON array of names
);
create unique index message_id on message (client_no, id);
create index message_client on message (client_no);
create unique index message_external on message (client_no, external_id, coalesce(acs_no, 0))
    where external_id is not null;
-- What history's rarer filters start from.
create index message_topic on message (client_no, topic_no) where topic_no is not null;
create index message_acs on message (client_no, acs_no) where acs_no is not null;
create index message_urgent on message (client_no, priority) where priority >= 2;
create index message_ack on message (client_no) where require_ack;
-- Those that wait for their time, the next one first.
create index message_due on message (send_at) where no < 0 and canceled_at is null;
create index message_scheduled on message (client_no, send_at, id) where no < 0 and canceled_at is null;
create unique index message_waited on message (client_no, waited_as) where waited_as is not null;

-- When messages were accepted, a thousand numbers at a time: what leads from a time to numbers. A row is made when nobody
-- can store a message of its numbers any more.
create table message_span (
    first_no integer not null primary key,
    earliest_at integer not null,
    latest_at integer not null
);
create index message_span_latest on message_span (latest_at, first_no);

-- Idempotency-Key, per ACS, kept 72 hours.
create table idempotency (
    client_no integer not null,
    acs_no integer not null, -- 0: an operator
    key text not null,
    message_no integer not null, -- of one that waits or has waited: the number that it had then
    fingerprint integer not null,
    created_at integer not null,
    primary key (client_no, acs_no, key)
) without rowid;
create index idempotency_age on idempotency (created_at);

-- A large message's frozen audience: per reason, the numbers of the employees as a Roaring bitmap. Expanded into
-- deliveries step by step; the row goes when its last employee has his delivery.
create table audience (
    client_no integer not null,
    message_no integer not null,
    part integer not null,
    reason integer, -- why they are denied; null: they receive it
    target integer not null,
    target_no integer,
    let_in integer, -- as in `delivery`
    members blob not null,
    next_employee_no integer not null default 0, -- everyone below has his delivery
    created_at integer not null,
    primary key (client_no, message_no, part)
) without rowid;

-- One message for one employee: the row of history, in its order. Facts are stored, the state is derived.
create table delivery (
    client_no integer not null,
    message_no integer not null,
    employee_no integer not null,
    expires_at integer not null,
    sent_at integer,
    delivered_at integer,
    read_at integer,
    acknowledged_at integer,
    phone_delivered_at integer,
    phone_read_at integer,
    phone_acknowledged_at integer,
    outcome integer, -- the state that it leads to: failed, expired, canceled, denied
    reason integer, -- of the outcome; without one, why it waits
    outcome_at integer,
    target integer not null, -- employee, group, everyone, grant: which target named him
    target_no integer, -- the group
    let_in integer, -- whose grant let him in: 0 everyone's, -1 his own, else this group's
    -- The same expression as simo_common::delivery::Facts::state.
    state integer not null generated always as (
        case
            when acknowledged_at is not null then 4
            when read_at is not null then 3
            when delivered_at is not null then 2
            when outcome is not null and (sent_at is null or outcome not in (7, 8)) then outcome
            when sent_at is not null then 1
            else 0
        end
    ) virtual,
    primary key (client_no, message_no, employee_no)
) without rowid;
create index delivery_employee on delivery (client_no, employee_no, message_no);
create index delivery_state on delivery (client_no, state, message_no, employee_no);
create index delivery_reason on delivery (client_no, reason, message_no, employee_no) where reason is not null;
create index delivery_expiry on delivery (expires_at) where state = 0;

-- How many deliveries of a message are in each state, kept by the triggers below, so that no list of messages counts them.
create table message_sum (
    client_no integer not null,
    message_no integer not null,
    queued integer not null default 0,
    sent integer not null default 0,
    delivered integer not null default 0,
    read integer not null default 0,
    acknowledged integer not null default 0,
    failed integer not null default 0,
    expired integer not null default 0,
    canceled integer not null default 0,
    denied integer not null default 0,
    changed_at integer not null default 0, -- the newest time of a delivery; 0: none has any
    primary key (client_no, message_no)
) without rowid;
create trigger delivery_is_counted after insert on delivery begin
    insert into message_sum (client_no, message_no, queued, sent, delivered, read, acknowledged, failed, expired, canceled,
        denied, changed_at)
    values (new.client_no, new.message_no, new.state = 0, new.state = 1, new.state = 2, new.state = 3, new.state = 4,
        new.state = 5, new.state = 6, new.state = 7, new.state = 8, max(coalesce(new.sent_at, 0),
        coalesce(new.delivered_at, 0), coalesce(new.read_at, 0), coalesce(new.acknowledged_at, 0),
        coalesce(new.outcome_at, 0)))
    on conflict do update set queued = queued + excluded.queued, sent = sent + excluded.sent,
        delivered = delivered + excluded.delivered, read = read + excluded.read,
        acknowledged = acknowledged + excluded.acknowledged, failed = failed + excluded.failed,
        expired = expired + excluded.expired, canceled = canceled + excluded.canceled, denied = denied + excluded.denied,
        changed_at = max(changed_at, excluded.changed_at);
end;
create trigger delivery_is_counted_anew
after update of sent_at, delivered_at, read_at, acknowledged_at, outcome, outcome_at on delivery begin
    update message_sum set
        queued = queued + (new.state = 0) - (old.state = 0),
        sent = sent + (new.state = 1) - (old.state = 1),
        delivered = delivered + (new.state = 2) - (old.state = 2),
        read = read + (new.state = 3) - (old.state = 3),
        acknowledged = acknowledged + (new.state = 4) - (old.state = 4),
        failed = failed + (new.state = 5) - (old.state = 5),
        expired = expired + (new.state = 6) - (old.state = 6),
        canceled = canceled + (new.state = 7) - (old.state = 7),
        denied = denied + (new.state = 8) - (old.state = 8),
        changed_at = max(changed_at, coalesce(new.sent_at, 0), coalesce(new.delivered_at, 0), coalesce(new.read_at, 0),
            coalesce(new.acknowledged_at, 0), coalesce(new.outcome_at, 0))
    where client_no = new.client_no and message_no = new.message_no;
end;

-- One delivery on its way to one device: the unit of work.
create table push (
    client_no integer not null,
    message_no integer not null,
    employee_no integer not null,
    device_no integer not null,
    step integer not null default 0, -- which push of the delivery to this device: a later one leaves the earlier ones as they are
    channel integer not null,
    urgency integer not null, -- the message's priority: more urgent ones overtake
    due_at integer not null,
    tries integer not null default 0,
    last_tried_at integer,
    sent_at integer, -- a provider accepted it
    done_at integer, -- nothing is left to do
    outcome integer, -- accepted, received, failed, expired, canceled
    reason integer,
    primary key (client_no, message_no, employee_no, device_no, step)
) without rowid;
-- What dispatch claims, and what the holder of a stream asks for. Both shrink as work is done.
create index push_due on push (channel, client_no, urgency, due_at, message_no)
    where done_at is null and channel > 0;
create index push_pulled on push (client_no, device_no, message_no) where done_at is null and channel < 0;

-- What was tried of a push, and what was answered.
create table try (
    client_no integer not null,
    message_no integer not null,
    employee_no integer not null,
    device_no integer not null,
    step integer not null,
    no integer not null, -- from 1 on; tries that do not count share the place of the next one that does
    at integer not null,
    way_no integer not null,
    answer text not null,
    primary key (client_no, message_no, employee_no, device_no, step, no)
) without rowid;

-- The live feed, in commit order. Kept for a day; an older cursor is told to start anew.
create table event (
    seq integer primary key autoincrement,
    client_no integer not null,
    at integer not null,
    kind integer not null, -- accepted, delivery, canceled
    message_no integer not null, -- of one that waits or has waited: the number that it had then
    employee_no integer
);
create index event_client on event (client_no);

-- What follows from a commit in many steps, and must be done also when simod is stopped between two.
create table duty (
    client_no integer not null,
    kind integer not null, -- cancel a message; deny an employee what waits for him; give back what was denied
    subject_no integer not null, -- the message or the employee
    begun_at integer not null, -- by which it is told from the same one begun anew
    primary key (client_no, kind, subject_no)
) without rowid;

-- What waited for people when they were blocked, and was denied for as long as that lasted.
create table hold (
    client_no integer not null,
    message_no integer not null,
    employee_no integer not null,
    since integer not null,
    until integer, -- null: it lasts
    ending integer, -- 1: it was given back; 2: it was denied for good; 3: a provider had it already
    primary key (client_no, message_no, employee_no, since)
) without rowid;
create index hold_employee on hold (client_no, employee_no, message_no) where until is null;

-- How the clock was set, as far as it was believed: steps back, and jumps ahead of more than a minute.
create table clock_step (
    no integer primary key autoincrement,
    at integer not null, -- by the clock after it
    moved integer not null, -- microseconds; negative: back
    message_no integer not null, -- the newest message before it
    settled_at integer -- null: a jump ahead by which nothing expires yet
);

-- What was so when a message was accepted: from which message on, and from which on no longer. Kept by triggers, for what
-- history says of then: people and groups change, and what was accepted before they did stays as it was.
create table group_member_period (
    client_no integer not null,
    employee_no integer not null,
    group_no integer not null,
    since_no integer not null,
    until_no integer not null, -- 9223372036854775807: it lasts
    primary key (client_no, employee_no, group_no, since_no)
) without rowid;
create index group_member_period_group on group_member_period (client_no, group_no, employee_no);

create table group_inclusion_period (
    client_no integer not null,
    included_no integer not null,
    group_no integer not null,
    since_no integer not null,
    until_no integer not null,
    primary key (client_no, included_no, group_no, since_no)
) without rowid;
create index group_inclusion_period_group on group_inclusion_period (client_no, group_no, included_no);

-- While somebody was blocked, or in the archive.
create table employee_bar (
    client_no integer not null,
    employee_no integer not null,
    is_archived integer not null,
    since_no integer not null,
    until_no integer not null,
    primary key (client_no, employee_no, is_archived, since_no)
) without rowid;

create table topic_grant_period (
    client_no integer not null,
    grant_no integer not null,
    topic_no integer not null,
    employee_no integer,
    group_no integer,
    starts_at integer,
    ends_at integer,
    hours text,
    created_at integer not null,
    since_no integer not null,
    until_no integer not null,
    primary key (client_no, grant_no, since_no)
) without rowid;
create table client_zone_period (
    client_no integer not null,
    timezone text not null,
    since_no integer not null,
    until_no integer not null,
    primary key (client_no, since_no)
) without rowid;
create index topic_grant_period_topic on topic_grant_period (client_no, topic_no);

-- The number of the message that is accepted next.
create view next_message as select coalesce(max(seq), 0) + 1 as no from sqlite_sequence where name = 'message';

create trigger group_member_begins after insert on group_member begin
    -- One that was taken out and put in again before the next message never left.
    update group_member_period set until_no = 9223372036854775807
    where client_no = new.client_no and employee_no = new.employee_no and group_no = new.group_no and until_no = (select no from next_message);
    insert into group_member_period select new.client_no, new.employee_no, new.group_no, (select no from next_message), 9223372036854775807
    where not exists (select 1 from group_member_period where client_no = new.client_no and employee_no = new.employee_no and group_no = new.group_no and until_no = 9223372036854775807);
end;
create trigger group_member_ends after delete on group_member begin
    update group_member_period set until_no = (select no from next_message)
    where client_no = old.client_no and employee_no = old.employee_no and group_no = old.group_no and until_no = 9223372036854775807;
end;

create trigger group_inclusion_begins after insert on group_inclusion begin
    -- One that was taken out and put in again before the next message never left.
    update group_inclusion_period set until_no = 9223372036854775807
    where client_no = new.client_no and included_no = new.included_no and group_no = new.group_no and until_no = (select no from next_message);
    insert into group_inclusion_period select new.client_no, new.included_no, new.group_no, (select no from next_message), 9223372036854775807
    where not exists (select 1 from group_inclusion_period where client_no = new.client_no and included_no = new.included_no and group_no = new.group_no and until_no = 9223372036854775807);
end;
create trigger group_inclusion_ends after delete on group_inclusion begin
    update group_inclusion_period set until_no = (select no from next_message)
    where client_no = old.client_no and included_no = old.included_no and group_no = old.group_no and until_no = 9223372036854775807;
end;

create trigger employee_is_blocked after update of blocked_at on employee
when old.blocked_at is null and new.blocked_at is not null begin
    insert into employee_bar values (new.client_no, new.no, 0, (select no from next_message), 9223372036854775807)
    on conflict do update set until_no = excluded.until_no;
end;
create trigger employee_is_not_blocked after update of blocked_at on employee
when old.blocked_at is not null and new.blocked_at is null begin
    update employee_bar set until_no = (select no from next_message)
    where client_no = new.client_no and employee_no = new.no and is_archived = 0 and until_no = 9223372036854775807;
end;

create trigger employee_is_archived after update of archived_at on employee
when old.archived_at is null and new.archived_at is not null begin
    insert into employee_bar values (new.client_no, new.no, 1, (select no from next_message), 9223372036854775807)
    on conflict do update set until_no = excluded.until_no;
end;
create trigger employee_is_not_archived after update of archived_at on employee
when old.archived_at is not null and new.archived_at is null begin
    update employee_bar set until_no = (select no from next_message)
    where client_no = new.client_no and employee_no = new.no and is_archived = 1 and until_no = 9223372036854775807;
end;
create trigger employee_begins_blocked after insert on employee when new.blocked_at is not null begin
    insert into employee_bar values (new.client_no, new.no, 0, (select no from next_message), 9223372036854775807);
end;

create trigger topic_grant_begins after insert on topic_grant begin
    insert into topic_grant_period values (new.client_no, new.no, new.topic_no, new.employee_no, new.group_no, new.starts_at,
        new.ends_at, new.hours, new.created_at, (select no from next_message), 9223372036854775807);
end;
create trigger topic_grant_changes after update of starts_at, ends_at, hours on topic_grant
when (old.starts_at, old.ends_at, old.hours) is not (new.starts_at, new.ends_at, new.hours) begin
    update topic_grant_period set until_no = (select no from next_message)
    where client_no = old.client_no and grant_no = old.no and until_no = 9223372036854775807;
    insert into topic_grant_period values (new.client_no, new.no, new.topic_no, new.employee_no, new.group_no, new.starts_at,
        new.ends_at, new.hours, new.created_at, (select no from next_message), 9223372036854775807)
    on conflict do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at, hours = excluded.hours,
        until_no = excluded.until_no;
end;
create trigger topic_grant_ends after delete on topic_grant begin
    update topic_grant_period set until_no = (select no from next_message)
    where client_no = old.client_no and grant_no = old.no and until_no = 9223372036854775807;
end;

create trigger device_begins after insert on device when new.since_no is null begin
    update device set since_no = (select no from next_message) where no = new.no;
end;
create trigger device_ends after update of retired_at on device
when old.retired_at is null and new.retired_at is not null begin
    update device set until_no = (select no from next_message) where no = new.no;
end;

create trigger client_zone_begins after insert on client
when not exists (select 1 from client_zone_period where client_no = new.no) begin
    insert into client_zone_period values (new.no, new.timezone, (select no from next_message), 9223372036854775807);
end;
create trigger client_zone_changes after update of timezone on client when old.timezone <> new.timezone begin
    update client_zone_period set until_no = (select no from next_message)
    where client_no = new.no and until_no = 9223372036854775807;
    insert into client_zone_period values (new.no, new.timezone, (select no from next_message), 9223372036854775807)
    on conflict do update set timezone = excluded.timezone, until_no = excluded.until_no;
end;

-- A row of simod's own, which it commits to see whether commits succeed when nothing else is committed.
create table commit_proof (
    instance text primary key, -- empty: one process owns the file
    at integer not null,
    ballast blob not null -- as much as a message may take, after there was no room
) without rowid;

-- How much of the disk was free, hour by hour: the rate at which it fills. Only SQLite's disk is simod's to see.
create table disk_free (
    at integer not null primary key,
    free integer not null
) without rowid;

-- Who changed what: one chain per client (0: what belongs to none). The program makes the hashes
-- (simo_common::audit).
create table audit (
    client_no integer not null,
    seq integer not null,
    at integer not null,
    action text not null,
    payload_hash blob not null,
    hash blob not null, -- over this entry and the hash before
    primary key (client_no, seq)
) without rowid;

-- What entries say of people: JSON, hashed as it stands. Rows may be erased, not changed.
create table audit_payload (
    client_no integer not null,
    seq integer not null,
    employee_no integer, -- whom it is about
    payload text not null,
    primary key (client_no, seq)
) without rowid;
create index audit_payload_employee on audit_payload (client_no, employee_no, seq) where employee_no is not null;

-- Where a chain ends. `revision` counts the changes of what a site file describes.
create table audit_head (
    client_no integer not null primary key,
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
-- `insert or replace` takes a row away without a `delete` that the triggers would see.
create trigger audit_is_once before insert on audit
when exists (select 1 from audit a where a.client_no = new.client_no and a.seq = new.seq) begin
    select raise(abort, 'the audit is append-only');
end;
create trigger audit_payload_is_once before insert on audit_payload
when exists (select 1 from audit_payload p where p.client_no = new.client_no and p.seq = new.seq) begin
    select raise(abort, 'the audit is append-only');
end;

-- The words of a message under its number: as they are, and their stems. The program cuts and folds them, and puts a mark
-- of the client before each (simo_common::text, store/words.rs); `ascii` leaves everything between spaces alone.
create virtual table message_word using fts5 (
    surface, stems, content = '', contentless_delete = 1, tokenize = "ascii"
);
