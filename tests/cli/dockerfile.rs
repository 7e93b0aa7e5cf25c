//! `cargo union images --dockerfile IMAGE`.

use union_tests::Project;

#[test]
fn dockerfile_of_an_environment_is_printed() {
    let project = Project::package("hello")
        .union(
            "[package.metadata.union.images.default]\nbase-image = \"debian:bookworm-slim\"\napt-packages = [\"libpq5\"]\n\
             copy = [{ from = \"conf\", to = \"/etc/app\" }]\ncommands = [\"ldconfig\"]\n\
             [package.metadata.union.images.more]\nextends = \"default\"\ncommands = [\"true\"]\n\
             [package.metadata.union.images.plain]\n",
        )
        .file("conf/app.toml", "");
    let expected = concat!(
        "FROM debian:bookworm-slim\n",
        "RUN --mount=type=bind,source=.union.apt.conf,target=/run/union/apt.conf --mount=type=cache,target=/run/union/apt,sharing=locked ",
        "--mount=type=cache,target=/run/union/lists,sharing=locked [\"/usr/bin/env\",\"APT_CONFIG=/run/union/apt.conf\",",
        "\"DEBIAN_FRONTEND=noninteractive\",\"/bin/sh\",\"-c\",\"apt-get update && apt-get install --yes --no-install-recommends libpq5\"]\n",
        "COPY [\"copy/0/\",\"/etc/app/\"]\n",
        "RUN [\"/bin/sh\",\"-c\",\"ldconfig\"]\n",
    );
    project
        .run(["images", "--dockerfile", "default"])
        .succeeds()
        .stdout_is(expected);
    project
        .run(["images", "--dockerfile", "more"])
        .succeeds()
        .stdout_is(format!("{expected}RUN [\"/bin/sh\",\"-c\",\"true\"]\n"));
    project
        .run(["images", "--dockerfile", "plain"])
        .fails_with("U0001")
        .stderr_has("it is built without an engine");
    project
        .run(["images", "--dockerfile", "other"])
        .fails_with("U0105")
        .stderr_has("`default`, `more` and `plain`");
    let pinned = "version = 1\n[bases.\"debian:bookworm-slim\"]\ndigest = \"sha256:0\"\n";
    let digest = "a".repeat(64);
    project.write(
        "Union.lock",
        format!(
            "{}[bases.\"debian:bookworm-slim\".platforms]\n\"linux/amd64\" = \"sha256:{digest}\"\n",
            pinned.replace("sha256:0", &format!("sha256:{digest}"))
        ),
    );
    project
        .run(["images", "--dockerfile", "default"])
        .succeeds()
        .stdout_has(&format!("FROM debian:bookworm-slim@sha256:{digest}\n"));
}

#[test]
fn references_to_base_variables_are_explained() {
    let image = "[package.metadata.union.images.default]\nenv = { PATH = \"/opt/bin:$PATH\" }\nworkdir = \"/srv\"\ncommands = [\"true\"]\n";
    let project = Project::package("hello").union(image);
    let printed = project
        .run(["images", "--dockerfile", "default"])
        .succeeds();
    let printed = printed
        .stdout_has("# ${NAME} stands for a variable of the base image")
        .stdout_has("WORKDIR /srv\n");
    printed.stdout_has(
        "RUN [\"/usr/bin/env\",\"PATH=/opt/bin:${PATH}\",\"/bin/sh\",\"-c\",\"true\"]\n",
    );
}

#[test]
fn context_of_many_files_uses_little_memory() {
    const FILES: usize = 30_000;
    let text = "x".repeat(2_000);
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\ndockerfile = \"Dockerfile\"\n")
        .file("Dockerfile", "FROM scratch\nCOPY . /context\n")
        // They are no inputs of the code.
        .file(".gitignore", "/data\n")
        .locked();
    for file in 0..FILES {
        let directory = project.path(&format!("data/{}/{}", file / 10_000, file / 100 % 100));
        if file % 100 == 0 {
            std::fs::create_dir_all(&directory).unwrap();
        }
        std::fs::write(directory.join(format!("{file}.txt")), &text).unwrap();
    }
    let mut running = project.start(["plan", "--format", "json"]);
    let status = format!("/proc/{}/status", running.id());
    let mut peak = 0;
    while !running.has_exited() {
        // In kibibytes; a process that has exited has none.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line
            .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let planned = running.wait().succeeds().json();
    assert_eq!(
        planned["images"][0]["action"], "build-environment",
        "{planned}"
    );
    assert!(peak > 0 && peak < 60_000, "{peak} kB");
    // The last file is part of the key.
    let tag = planned["images"][0]["tag"].clone();
    project.write("data/2/99/29999.txt", "changed");
    let changed = project.run(["plan", "--format", "json"]).succeeds().json();
    assert_ne!(changed["images"][0]["tag"], tag);
}
