-- How the clock was set, as far as it was believed: steps back, and jumps ahead of more than a minute.
create table clock_step (
    id integer primary key autoincrement,
    at integer not null, -- by the clock after it
    moved integer not null, -- microseconds; negative: back
    message_seq integer not null, -- the newest message before it
    settled_at integer -- null: a jump ahead by which nothing expires yet
);
