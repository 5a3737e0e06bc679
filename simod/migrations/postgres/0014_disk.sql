-- How much of the disk was free, hour by hour: the rate at which it fills. Only SQLite's disk is simod's to see.
create table disk_free (
    at bigint not null primary key,
    free bigint not null
);
