//! The tool end to end, as a user runs it: with a real registry, with an engine, and on bad days.
#![allow(clippy::unwrap_used)]

mod bad_days;
mod bases;
mod beside;
mod cuda;
mod disks;
mod engines;
mod examples;
mod foreign_bases;
mod lines;
mod lock;
mod logins;
mod main_job;
mod proxies;
mod runs;
mod site;
mod starting;
mod workers;
