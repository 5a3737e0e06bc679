-- A row of each instance, which it commits to see whether commits succeed when nothing else is committed.
create table commit_proof (
    instance text primary key,
    at bigint not null,
    ballast text not null -- as much as a message may take, after there was no room
);
