-- Whether a token of an ACS is answered 503 where others are answered 429: some systems repeat only what failed with 5xx.
alter table token add column rate_limit_as_503 integer not null default 0;
create index token_rate_limit_as_503 on token (hash) where rate_limit_as_503;

-- Whether messages with a token of an ACS are cut to their limits instead of being refused.
alter table token add column fit integer not null default 0;
create index token_fit on token (hash) where fit;

-- Which parts of a message were cut to their limits: a JSON list. Null: none.
alter table message add column fitted text;
