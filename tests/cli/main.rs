//! The command line with cargo alone.
#![allow(clippy::unwrap_used)]

mod auditable;
mod build;
mod cache_directory;
mod check;
mod copy;
mod dockerfile;
mod flyte_config;
mod freshness;
mod inputs;
mod joint_compile;
mod linking;
mod output;
mod pages;
mod plan;
mod reproducible;
mod run;
mod start;
mod stat_cache;
mod union_lock;
