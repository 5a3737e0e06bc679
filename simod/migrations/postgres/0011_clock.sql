-- How the clock was set, as far as it was believed: steps back, and jumps ahead of more than a minute.
create table clock_step (
    id bigint primary key generated always as identity,
    at bigint not null, -- by the clock after it
    moved bigint not null, -- microseconds; negative: back
    message_seq bigint not null, -- the newest message before it
    settled_at bigint -- null: a jump ahead by which nothing expires yet
);
