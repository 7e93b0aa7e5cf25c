//! What the tests share.

pub mod hostile;
pub mod http;
pub mod registry;
pub mod token;
