-- Requests of tokens and failures of network addresses in the last minutes, of all instances together.
create table attempt (
    minute bigint not null,
    key text not null, -- `token HASH`, `address ADDRESS`
    count bigint not null,
    primary key (minute, key)
);

-- Attempts that were refused, by the hour: outside the audit's chains, so that who guesses writes little.
create table refusal (
    client_id uuid not null, -- 16 zero bytes: nobody knows whose
    hour bigint not null,
    address text not null,
    reason text not null,
    count bigint not null,
    first_at bigint not null,
    last_at bigint not null,
    primary key (client_id, hour, address, reason)
);
create index refusal_hour on refusal (hour);
