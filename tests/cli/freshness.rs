//! No program under a tag that it was not made from: what cargo takes for fresh by times and by what was declared to it.
//!
//! Each test changes something that is part of the key and that cargo does not notice, and runs the program of the image.

use std::process::Command;

use union_tests::Project;

use crate::inputs::{age, build_and_run, hello};

#[test]
fn macro_that_reads_files_is_expanded_again() {
    let macro_crate = "use proc_macro::TokenStream;\n#[proc_macro]\npub fn count(_: TokenStream) -> TokenStream {\n    let directory = std::path::Path::new(&std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()).join(\"migrations\");\n    let mut texts: Vec<String> = std::fs::read_dir(directory).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();\n    texts.sort();\n    format!(\"{:?}\", texts.concat()).parse().unwrap()\n}\n";
    let project = Project::package("hello")
        .union("\n[dependencies]\nmigrate = { path = \"migrate\" }\n\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .file("migrate/Cargo.toml", "[package]\nname = \"migrate\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n")
        .file("migrate/src/lib.rs", macro_crate)
        .file("src/main.rs", "fn main() { println!(\"{}\", migrate::count!()); }")
        .file("migrations/1.sql", "one")
        .locked();
    let one = build_and_run(&project, "");
    project.write("migrations/2.sql", "two");
    let two = build_and_run(&project, "");
    std::fs::remove_file(project.path("migrations/1.sql")).unwrap();
    let three = build_and_run(&project, "");
    assert_eq!(
        [&one.prints, &two.prints, &three.prints],
        ["one", "onetwo", "two"]
    );
    assert!(one.tag != two.tag && two.tag != three.tag);
}

#[test]
fn dependency_edit_with_an_old_mtime_is_recompiled() {
    let project = Project::workspace()
        .member(
            "hello",
            "\n[dependencies]\nhelper = { path = \"../helper\" }\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n",
        )
        .file("members/hello/src/main.rs", "fn main() { println!(\"{}\", helper::TEXT); }")
        .file("members/helper/Cargo.toml", "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .file("members/helper/src/lib.rs", "pub const TEXT: &str = \"one\";")
        .locked();
    let one = build_and_run(&project, "");
    project.edit("members/helper/src/lib.rs", "one", "two");
    age(&project, "members/helper/src/lib.rs");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    assert_ne!(one.tag, two.tag);
}

#[test]
fn restored_target_directory_of_another_commit_is_recompiled() {
    let project = hello("fn main() { println!(\"one\"); }");
    age(&project, "src/main.rs");
    let one = build_and_run(&project, "");
    let saved = project.path("../saved");
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(project.path("target"))
            .arg(&saved)
            .status()
            .unwrap()
            .success()
    );
    project.edit("src/main.rs", "one", "two");
    let two = build_and_run(&project, "");
    std::fs::remove_dir_all(project.path("target")).unwrap();
    std::fs::rename(&saved, project.path("target")).unwrap();
    age(&project, "src/main.rs");
    let restored = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), &two), ("one", &restored));
}

#[test]
fn changed_build_variable_reruns_a_script_without_watches() {
    let script = "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); println!(\"cargo::rustc-env=TEXT={}\", std::env::var(\"WORD\").unwrap()); }";
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }").file("build.rs", script);
    project.append("Cargo.toml", "build = { env = { WORD = \"one\" } }\n");
    let one = build_and_run(&project, "");
    project.edit("Cargo.toml", "\"one\"", "\"two\"");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    assert_ne!(one.tag, two.tag);
}

/// A macro that reads the files of a directory without declaring it, as macros for migrations do.
fn read_directory(directory: &str) -> String {
    format!(
        "use proc_macro::TokenStream;\n#[proc_macro]\npub fn read(_: TokenStream) -> TokenStream {{\n    let directory = std::path::Path::new(&std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()).join({directory:?});\n    let mut texts: Vec<String> = std::fs::read_dir(directory).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();\n    texts.sort();\n    format!(\"{{:?}}\", texts.concat()).parse().unwrap()\n}}\n"
    )
}

const MACRO: &str = "[package]\nname = \"migrate\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n";
const IMAGE: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

/// Builds with one, two, and again one file in a directory whose files a macro reads.
#[track_caller]
fn adds_and_removes_a_file(project: &Project, directory: &str) {
    let one = build_and_run(project, "");
    project.write(&format!("{directory}/2.sql"), "two");
    let two = build_and_run(project, "");
    std::fs::remove_file(project.path(&format!("{directory}/1.sql"))).unwrap();
    let three = build_and_run(project, "");
    assert_eq!(
        [&one.prints, &two.prints, &three.prints],
        ["one", "onetwo", "two"]
    );
    assert!(one.tag != two.tag && two.tag != three.tag);
}

#[test]
fn declared_outside_files_of_a_macro_reach_the_program() {
    let project = Project::workspace()
        .member("hello", &format!("\n[dependencies]\nmigrate = {{ path = \"../migrate\" }}\n{IMAGE}inputs = [\"../../shared/*.sql\"]\n"))
        .file("members/migrate/Cargo.toml", MACRO)
        .file("members/migrate/src/lib.rs", read_directory("../../shared"))
        .file("members/hello/src/main.rs", "fn main() { println!(\"{}\", migrate::read!()); }")
        .file("shared/1.sql", "one")
        .locked();
    adds_and_removes_a_file(&project, "shared");
}

#[test]
fn declared_files_of_a_dependency_macro_reach_the_program() {
    let project = Project::workspace()
        .member("hello", &format!("\n[dependencies]\ndb = {{ path = \"../db\" }}\n{IMAGE}inputs = [\"../../shared/*.sql\"]\n"))
        .file("members/db/Cargo.toml", "[package]\nname = \"db\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nmigrate = { path = \"../migrate\" }\n")
        .file("members/db/src/lib.rs", "pub const SQL: &str = migrate::read!();")
        .file("members/migrate/Cargo.toml", MACRO)
        .file("members/migrate/src/lib.rs", read_directory("../../shared"))
        .file("members/hello/src/main.rs", "fn main() { println!(\"{}\", db::SQL); }")
        .file("shared/1.sql", "one")
        .locked();
    adds_and_removes_a_file(&project, "shared");
}

#[test]
fn declared_ignored_files_of_a_macro_reach_the_program() {
    let project = Project::package("hello")
        .union(&format!("\n[dependencies]\nmigrate = {{ path = \"migrate\" }}\n\n{IMAGE}inputs = [\"data/*.sql\"]\n"))
        .file(".gitignore", "/target\n/data\n")
        .file("migrate/Cargo.toml", MACRO)
        .file("migrate/src/lib.rs", read_directory("data"))
        .file("src/main.rs", "fn main() { println!(\"{}\", migrate::read!()); }")
        .file("data/1.sql", "one")
        .locked();
    adds_and_removes_a_file(&project, "data");
}

#[test]
fn siblings_of_a_learned_file_reach_the_program() {
    let project = Project::workspace()
        .member("hello", &format!("\n[dependencies]\nmigrate = {{ path = \"../migrate\" }}\n{IMAGE}"))
        .file("members/migrate/Cargo.toml", MACRO)
        .file("members/migrate/src/lib.rs", read_directory("../../shared"))
        .file("members/hello/src/main.rs", "const _: &str = include_str!(\"../../../shared/0.sql\");\nfn main() { println!(\"{}\", migrate::read!()); }")
        .file("shared/0.sql", "")
        .file("shared/1.sql", "one")
        .locked();
    adds_and_removes_a_file(&project, "shared");
}

#[test]
fn different_declared_files_do_not_recompile_a_shared_dependency() {
    let member = |name: &str| {
        format!(
            "\n[dependencies]\ndb = {{ path = \"../db\" }}\n{IMAGE}inputs = [\"../../{name}/*.sql\"]\n"
        )
    };
    let project = Project::workspace()
        .member("one", &member("first"))
        .member("two", &member("second"))
        .file(
            "members/db/Cargo.toml",
            "[package]\nname = \"db\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )
        .file("members/db/src/lib.rs", "pub const SQL: &str = \"\";")
        .file(
            "members/one/src/main.rs",
            "fn main() { println!(\"{}\", db::SQL); }",
        )
        .file(
            "members/two/src/main.rs",
            "fn main() { println!(\"{}\", db::SQL); }",
        )
        .file("first/1.sql", "one")
        .file("second/1.sql", "one")
        .locked();
    project
        .run(["build", "-p", "one"])
        .succeeds()
        .compiles(["db", "one"]);
    project
        .run(["build", "-p", "two"])
        .succeeds()
        .compiles(["two"]);
    project.append("members/one/src/main.rs", "// more\n");
    project
        .run(["build", "-p", "one"])
        .succeeds()
        .compiles(["one"]);
    project.append("members/two/src/main.rs", "// more\n");
    project
        .run(["build", "-p", "two"])
        .succeeds()
        .compiles(["two"]);
    project.write("first/1.sql", "two");
    project
        .run(["build", "-p", "one"])
        .succeeds()
        .compiles(["db", "one"]);
}

#[test]
fn file_named_by_flags_reaches_the_program() {
    let project = hello("fn main() {}")
        .file(
            ".cargo/config.toml",
            "[build]\nrustflags = [\"-Clink-arg=@.cargo/link.args\"]\n",
        )
        .file(".cargo/link.args", "-Wl,--build-id=0x11111111\n");
    let one = build_and_run(&project, "");
    project.write(".cargo/link.args", "-Wl,--build-id=0x22222222\n");
    let two = build_and_run(&project, "");
    assert_ne!(one.tag, two.tag);
    assert_ne!(one.program, two.program);
}

/// A build script that reads a variable and declares only itself.
fn reads(variable: &str) -> String {
    format!(
        "fn main() {{ println!(\"cargo::rerun-if-changed=build.rs\"); println!(\"cargo::rustc-env=TEXT={{}}\", std::env::var({variable:?}).unwrap()); }}"
    )
}

#[test]
fn cargo_config_variable_reruns_a_script_without_watches() {
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }")
        .file("build.rs", reads("WORD"))
        .file(".cargo/config.toml", "[env]\nWORD = \"one\"\n");
    let one = build_and_run(&project, "");
    project.edit(".cargo/config.toml", "one", "two");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    assert_ne!(one.tag, two.tag);
}

#[test]
fn changed_source_date_epoch_reruns_a_script_without_watches() {
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }")
        .file("build.rs", reads("SOURCE_DATE_EPOCH"))
        .env("SOURCE_DATE_EPOCH", "1");
    let one = build_and_run(&project, "");
    let project = project.env("SOURCE_DATE_EPOCH", "2");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("1", "2"));
    assert_ne!(one.tag, two.tag);
}
