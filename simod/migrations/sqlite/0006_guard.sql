-- Requests of tokens and failures of network addresses in the last minutes, of all instances together.
create table attempt (
    minute integer not null,
    key text not null, -- `token HASH`, `address ADDRESS`
    count integer not null,
    primary key (minute, key)
) without rowid;

-- Attempts that were refused, by the hour: outside the audit's chains, so that who guesses writes little.
create table refusal (
    client_id blob not null, -- 16 zero bytes: nobody knows whose
    hour integer not null,
    address text not null,
    reason text not null,
    count integer not null,
    first_at integer not null,
    last_at integer not null,
    primary key (client_id, hour, address, reason)
) without rowid;
create index refusal_hour on refusal (hour);
