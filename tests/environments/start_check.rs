//! The start check finds installed libraries, and its advice is sufficient.

use crate::setup::{Setup, in_container};

#[test]
fn missing_library_advice_names_a_package_that_works() {
    let setup = Setup::new();
    let main = "#[link(name = \"pq\")]\nunsafe extern \"C\" {\n    safe fn PQlibVersion() -> i32;\n}\n\
                fn main() {\n    println!(\"libpq {}\", PQlibVersion());\n}\n";
    let project = setup.project("apt-packages = []").file("src/main.rs", main);
    let refused = project.run(["build"]).fails_with("U0604");
    assert_eq!(
        setup.tags("team/hello"),
        [""; 0],
        "before anything is pushed"
    );
    let advice = refused
        .stderr()
        .split("to the image: `")
        .nth(1)
        .unwrap()
        .split('`')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(advice, "apt-packages = [\"libpq5\"]");
    project.edit("Cargo.toml", "apt-packages = []", &advice);
    let built = project
        .run(["build"])
        .succeeds()
        .stderr_has("apt-get install");
    assert!(in_container(&built, &[]).starts_with("libpq 15"));
    // Installed files are indexed once as well: the second check reads the index.
    project.append("src/main.rs", "// an edit\n");
    project
        .run(["build", "-v"])
        .succeeds()
        .stderr_lacks("apt-get")
        .stderr_lacks("Fetching");
}
