//! Calls of cargo: arguments, environment and results.

use cargo_union::sys::process::ProcessFailure;
use cargo_union::workspace::{Linkage, Workspace};
use union_build::diag::Code;

use crate::project::{Project, has_interpreter, manifest, triple};

#[tokio::test]
async fn binary_is_built_and_runs() {
    let project = Project::app("fn main() { println!(\"hello\"); }");
    assert_eq!(project.run().await, "hello");
}

#[tokio::test]
async fn static_binary_has_no_interpreter() {
    let mut project = Project::app("fn main() { println!(\"hello\"); }");
    let bytes = async |project: &Project| {
        std::fs::read(
            project
                .executable(&project.build().await.unwrap().0, "app")
                .await,
        )
        .unwrap()
    };
    assert!(has_interpreter(&bytes(&project).await));
    project.settings.compile.linkage = Linkage::Static;
    assert_eq!(project.run().await, "hello");
    assert!(!has_interpreter(&bytes(&project).await));
}

#[tokio::test]
async fn only_requested_binaries_are_built() {
    let mut project = Project::app("fn main() {}");
    project.write("src/bin/tool.rs", "fn main() {}");
    project.write("src/bin/broken.rs", "fn main() { this is not Rust }");
    project.settings.binaries.insert("tool".to_owned());
    let (compiled, _) = project.build().await.unwrap();
    for name in ["app", "tool"] {
        assert!(project.executable(&compiled, name).await.is_file());
    }
}

#[tokio::test]
async fn features_and_variables_reach_the_compile() {
    let mut project = Project::app(
        "fn main() { println!(\"{} {} {}\", cfg!(feature = \"a\"), cfg!(feature = \"b\"), env!(\"GREETING\")); }",
    );
    project.write(
        "Cargo.toml",
        &manifest("app", "[features]\ndefault = ['a']\na = []\nb = []\n"),
    );
    project
        .settings
        .compile
        .env
        .insert("GREETING".to_owned(), "hi there".to_owned());
    assert_eq!(project.run().await, "true false hi there");
    project.settings.compile.features.insert("b".to_owned());
    project.settings.compile.default_features = false;
    assert_eq!(project.run().await, "false true hi there");
}

#[tokio::test]
async fn user_rustflags_are_kept_from_every_source() {
    let code = "#![allow(unexpected_cfgs)]\nfn main() { println!(\"{} {} {} {}\", cfg!(build), cfg!(target), cfg!(cfgs), cfg!(env)); }";
    let mut project = Project::app(code);
    project.write(".cargo/config.toml", "build.rustflags = ['--cfg', 'build']");
    assert_eq!(project.run().await, "true false false false");
    project.write(
        ".cargo/config.toml",
        &format!(
            "build.rustflags = ['--cfg=build']\ntarget.{}.rustflags = '--cfg target'",
            triple()
        ),
    );
    assert_eq!(project.run().await, "false true false false");
    let cfgs = "[target.'cfg(unix)']\nrustflags = ['--cfg=cfgs']\n[target.'cfg(windows)']\nrustflags = ['--cfg=env']\n";
    project.write(
        ".cargo/config.toml",
        &format!("build.rustflags = ['--cfg=build']\n{cfgs}"),
    );
    assert_eq!(project.run().await, "false false true false");
    project.environment.set("RUSTFLAGS", "--cfg env");
    assert_eq!(project.run().await, "false false false true");
}

#[tokio::test]
async fn build_env_flags_and_profiles_take_effect() {
    let code = "#![allow(unexpected_cfgs)]\nfn main() { println!(\"{} {} {}\", cfg!(one), cfg!(two), cfg!(debug_assertions)); }";
    let mut project = Project::app(code);
    project.settings.compile.linkage = Linkage::Static;
    let own = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        triple().to_uppercase().replace('-', "_")
    );
    for (name, flags) in [
        ("RUSTFLAGS", "--cfg one"),
        ("CARGO_ENCODED_RUSTFLAGS", "--cfg\x1fone"),
        ("CARGO_BUILD_RUSTFLAGS", "--cfg one"),
        (own.as_str(), "--cfg one"),
    ] {
        project.settings.compile.env = [(name.to_owned(), flags.to_owned())].into();
        assert_eq!(project.run().await, "true false false", "{name}");
        let bytes = std::fs::read(
            project
                .executable(&project.build().await.unwrap().0, "app")
                .await,
        )
        .unwrap();
        assert!(!has_interpreter(&bytes), "{name} hides how it is linked");
    }
    // As in cargo, exported flags replace those of a file, and the manifest takes precedence over exported flags.
    project.environment.set("RUSTFLAGS", "--cfg two");
    project.settings.compile.env = [("RUSTFLAGS".to_owned(), "--cfg one".to_owned())].into();
    assert_eq!(project.run().await, "true false false");
    project.settings.compile.env = [(
        "CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS".to_owned(),
        "true".to_owned(),
    )]
    .into();
    assert_eq!(project.run().await, "false true true");
}

#[tokio::test]
async fn symbols_are_stripped_only_by_profile() {
    let project = Project::app(
        "#[inline(never)]\nfn a_name_of_its_own() { println!(\"hello\") }\nfn main() { std::hint::black_box(a_name_of_its_own)() }",
    );
    let names = async || {
        let (compiled, _) = project.build().await.unwrap();
        let bytes = std::fs::read(project.executable(&compiled, "app").await).unwrap();
        String::from_utf8_lossy(&bytes).contains("a_name_of_its_own")
    };
    assert!(names().await);
    project.write(
        "Cargo.toml",
        &manifest("app", "[profile.release]\nstrip = true\n"),
    );
    assert!(!names().await);
}

#[tokio::test]
async fn backtrace_has_functions_and_with_debuginfo_lines() {
    let project = Project::app(
        "#[inline(never)]\nfn a_name_of_its_own() { panic!(\"on purpose\") }\nfn main() { std::hint::black_box(a_name_of_its_own)() }",
    );
    let backtrace = async || {
        let (compiled, _) = project.build().await.unwrap();
        let output = std::process::Command::new(project.executable(&compiled, "app").await)
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let named = backtrace().await;
    assert!(
        named.contains("app::a_name_of_its_own") && !named.contains("at /workspace/src/main.rs:2"),
        "{named}"
    );
    project.write(
        "Cargo.toml",
        &manifest("app", "[profile.release]\ndebug = 'line-tables-only'\n"),
    );
    let lines = backtrace().await;
    assert!(
        lines.contains("/workspace/src/main.rs:2") || lines.contains("./src/main.rs:2"),
        "{lines}"
    );
}

#[tokio::test]
async fn incremental_compilation_is_off() {
    let mut project = Project::app("fn main() { println!(\"hello\"); }");
    let bytes = async |project: &Project| {
        std::fs::read(
            project
                .executable(&project.build().await.unwrap().0, "app")
                .await,
        )
        .unwrap()
    };
    let plain = bytes(&project).await;
    std::fs::remove_dir_all(project.path("target")).unwrap();
    project.environment.set("CARGO_INCREMENTAL", "1");
    project.settings.compile.env = [("CARGO_INCREMENTAL".to_owned(), "1".to_owned())].into();
    project.write(
        ".cargo/config.toml",
        "[profile.release]\nincremental = true\n[build]\nincremental = true\n",
    );
    assert!(plain == bytes(&project).await, "the executables differ");
}

#[tokio::test]
async fn failed_compile_keeps_the_exit_code_of_cargo() {
    let project = Project::app("fn main() { 1 }");
    let error = project.build().await.unwrap_err();
    assert_eq!(error.code(), Code::CompileFailed);
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(
        cause.downcast_ref::<ProcessFailure>().unwrap().code,
        Some(101)
    );
}

#[tokio::test]
async fn compile_ended_by_a_signal_is_interrupted() {
    let mut project = Project::app("fn main() {}");
    project.cargo_program = Some(project.program(
        "cargo",
        // Whoever runs the tests may ignore the signal.
        "case $1 in build) exec env --default-signal=INT sh -c 'kill -INT $$' ;; esac\nexec cargo \"$@\"",
    ));
    assert_eq!(project.build().await.unwrap_err().code(), Code::Interrupted);
}

#[tokio::test]
async fn missing_required_features_show_the_message_of_cargo() {
    let project = Project::app("fn main() {}");
    project.write(
        "Cargo.toml",
        &manifest("app", "[features]\nx = []\n[[bin]]\nname = 'app'\npath = 'src/main.rs'\nrequired-features = ['x']\n"),
    );
    assert_eq!(
        project.build().await.unwrap_err().code(),
        Code::CompileFailed
    );
}

#[tokio::test]
async fn generated_file_belongs_to_the_package_build_script() {
    let script = "fn main() { let out = std::env::var(\"OUT_DIR\").unwrap(); std::fs::write(format!(\"{out}/union_images.rs\"), env!(\"CARGO_PKG_NAME\")).unwrap(); }";
    let project = Project::app("fn main() {}");
    assert_eq!(project.generated_file().await, None);
    project.write(
        "Cargo.toml",
        &manifest("app", "[dependencies]\nhelper = { path = 'helper' }\n"),
    );
    project.write("helper/Cargo.toml", &manifest("helper", ""));
    project.write("helper/src/lib.rs", "");
    for package in ["", "helper/"] {
        project.write(&format!("{package}build.rs"), script);
    }
    let generated = project.generated_file().await.unwrap();
    assert_eq!(std::fs::read_to_string(generated).unwrap(), "app");
}

#[tokio::test]
async fn second_compile_does_nothing() {
    let project = Project::app("fn main() {}");
    let made = async || {
        std::fs::metadata(
            project
                .executable(&project.build().await.unwrap().0, "app")
                .await,
        )
        .unwrap()
        .modified()
        .unwrap()
    };
    let first = made().await;
    assert_eq!(made().await, first);
}

#[tokio::test]
async fn relative_target_directory_is_the_same_for_build_scripts() {
    let mut project = Project::app("fn main() {}");
    project.write("build.rs", "fn main() { let out = std::env::var(\"OUT_DIR\").unwrap(); std::fs::write(format!(\"{out}/union_images.rs\"), std::env::var(\"CARGO_TARGET_DIR\").unwrap()).unwrap(); }");
    project.environment.set("CARGO_TARGET_DIR", "out/here");
    let workspace = Workspace::load(&project.cargo(), None).await.unwrap();
    let generated = project.generated_file().await.unwrap();
    assert_eq!(
        std::fs::read_to_string(generated).unwrap(),
        workspace.target_directory.display().to_string()
    );
}

#[tokio::test]
async fn dropped_compile_ends_all_child_processes() {
    let project = Project::app("fn main() {}");
    let (pid_file, survived) = (project.path("../pid"), project.path("../survived"));
    let script = format!(
        "use std::fs; fn main() {{ let file = {pid_file:?}; fs::write(format!(\"{{file}}.part\"), std::process::id().to_string()).unwrap(); fs::rename(format!(\"{{file}}.part\"), file).unwrap(); std::thread::sleep(std::time::Duration::from_secs(30)); fs::write({survived:?}, \"\").unwrap(); }}"
    );
    project.write("build.rs", &script);
    let started = async {
        while !pid_file.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = project.build() => panic!("the build script sleeps"),
        () = started => {}
    }
    union_tests::run::until_ended(&std::fs::read_to_string(&pid_file).unwrap());
    assert!(!survived.exists(), "the build script came to its own end");
}
