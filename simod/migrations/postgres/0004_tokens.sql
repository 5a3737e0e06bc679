-- What an ACS may do with a token. Null: everything, everywhere.
alter table token add column scopes text collate "C"; -- with commas between: send, read
alter table token add column topics text collate "C"; -- slugs, with commas between
alter table token add column networks text collate "C"; -- CIDR, with commas between
alter table token add column rate_limit bigint; -- requests a minute
create index token_rate_limit on token (hash) where rate_limit is not null;

-- The token that takes over, while this one goes on for a while.
alter table token add column successor_id uuid;

-- When it last let somebody in, and from where; written now and then.
alter table token add column used_at bigint;
alter table token add column used_from text collate "C";
