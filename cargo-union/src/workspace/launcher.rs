//! stub
pub fn version() -> &'static str {
    "0"
}
