mod found;
mod large;
mod pages;
mod plain;
mod plans;
mod sample;
mod story;

const SORTS: [&str; 6] = ["date", "-date", "employee", "-employee", "state", "-state"];
