-- Groups within groups: who is in the included one is in the other one too. There are no loops.
create table group_inclusion (
    client_id blob not null,
    group_id blob not null,
    included_id blob not null,
    primary key (client_id, group_id, included_id)
) without rowid;
create index group_inclusion_included on group_inclusion (client_id, included_id, group_id);

-- When a grant counts: not before, no longer, and at which hours of the week (simo_common::hours) in the client's zone.
alter table topic_grant add column starts_at integer;
alter table topic_grant add column ends_at integer;
alter table topic_grant add column hours text;

-- What a message on the topic is that says nothing of it.
alter table topic add column priority integer;
alter table topic add column recipients text; -- JSON
