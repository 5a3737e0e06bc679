-- A row of simod's own, which it commits to see whether commits succeed when nothing else is committed.
create table commit_proof (
    instance text primary key, -- empty: one process owns the file
    at integer not null,
    ballast blob not null -- as much as a message may take, after there was no room
) without rowid;
