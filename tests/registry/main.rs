//! The registry client against Debian's `docker-registry` and against a scripted registry.

#![allow(clippy::unwrap_used)]

mod body_limits;
mod concurrency;
mod copy;
mod copy_failures;
mod images;
mod interruptions;
mod invalid_responses;
mod login;
mod proxies;
mod pull;
mod push;
mod referrers;
mod resolve;
mod setup;
mod tls;
mod traces;
