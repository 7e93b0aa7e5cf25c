//! The registry client against Debian's `docker-registry`, and against one that is up to no good.

#![allow(clippy::unwrap_used)]

mod bad_answers;
mod bad_lines;
mod front;
mod images;
mod logins;
mod many;
mod proxies;
mod pulling;
mod pushing;
mod resolving;
mod secure;
mod traces;
mod world;
