//! The tool as a user sees it: words in, words and files out. Nothing here needs more than cargo.
#![allow(clippy::unwrap_used)]

mod build;
mod check;
mod copies;
mod dockerfile;
mod flyte_config;
mod freshness;
mod inputs;
mod linking;
mod machine;
mod output;
mod pages;
mod plan;
mod reproducible;
mod run;
mod stat_cache;
mod together;
mod union_lock;
