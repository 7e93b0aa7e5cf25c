//! Tasks registered with a backend that others have made, and read back with its own command line.
#![allow(clippy::unwrap_used)]

mod bad_days;
mod bad_input;
mod building;
mod dry;
mod figures;
mod folders;
mod interfaces;
mod local_inputs;
mod registering;
mod rules;
mod running;
mod saving;
mod workers;
mod world;
