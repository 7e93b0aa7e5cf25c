//! `cargo union images --dockerfile IMAGE`.

use union_tests::Project;

#[test]
fn the_dockerfile_of_an_environment_is_printed() {
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
        .stderr_has("no engine makes it");
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
fn references_to_variables_of_the_base_are_explained() {
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
