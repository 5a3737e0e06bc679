-- Groups within groups: who is in the included one is in the other one too. There are no loops.
create table group_inclusion (
    client_id uuid not null,
    group_id uuid not null,
    included_id uuid not null,
    primary key (client_id, group_id, included_id)
);
create index group_inclusion_included on group_inclusion (client_id, included_id, group_id);

-- When a grant counts: not before, no longer, and at which hours of the week (simo_common::hours) in the client's zone.
alter table topic_grant add column starts_at bigint;
alter table topic_grant add column ends_at bigint;
alter table topic_grant add column hours text;

-- What a message on the topic is that says nothing of it.
alter table topic add column priority bigint;
alter table topic add column recipients text; -- JSON
