-- Whether a token of an ACS is answered 503 where others are answered 429: some systems repeat only what failed with 5xx.
alter table token add column rate_limit_as_503 boolean not null default false;
create index token_rate_limit_as_503 on token (hash) where rate_limit_as_503;
