//! Says which libpq is loaded. No database is needed for that.

fn main() {
    // SAFETY: it takes nothing, touches nothing, and may be called at any time.
    let version = unsafe { pq_sys::PQlibVersion() };
    println!("libpq {}.{}", version / 10_000, version % 10_000);
}
