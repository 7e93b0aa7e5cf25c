//! What both tasks share.

/// The images of this package, as `cargo union` resolved them; written by `build.rs`.
pub mod images {
    include!(concat!(env!("OUT_DIR"), "/union_images.rs"));
}

/// Says in which image a task belongs, and whether it runs in it right now.
pub fn introduce(task: &str) {
    let image = images::for_task(task).expect("the task is declared in Cargo.toml");
    match image.reference() {
        Some(reference) => println!("{task}: image {reference}"),
        None => println!(
            "{task}: image `{}`, not built by `cargo union` yet",
            image.name
        ),
    }
    println!("{task}: running in it: {}", image.is_current());
}
