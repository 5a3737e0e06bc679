-- What an ACS may do with a token. Null: everything, everywhere.
alter table token add column scopes text; -- with commas between: send, read
alter table token add column topics text; -- slugs, with commas between
alter table token add column networks text; -- CIDR, with commas between
alter table token add column rate_limit integer; -- requests a minute
create index token_rate_limit on token (hash) where rate_limit is not null;

-- The token that takes over, while this one goes on for a while.
alter table token add column successor_id blob;

-- When it last let somebody in, and from where; written now and then.
alter table token add column used_at integer;
alter table token add column used_from text;
