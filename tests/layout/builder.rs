//! Images of the native builder.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cargo_union::build::inputs::{EnvironmentSettings, environment_inputs};
use cargo_union::build::{BuildRequest, MeasuredFiles};
use cargo_union::image::layer::{BlobSource, media_type};
use cargo_union::image::per_platform::PerPlatform;
use serde_json::json;
use union_build::diag::Code;
use union_build::spec::{self, Compression, Sourced};
use union_tests::base::layout_of;

use crate::fixture::{Fixture, json, key, map, placed, platform, reference, scratch, spec, texts};

/// A base with merged /usr and one named user, small enough to be made for every test.
fn small_base(directory: &Path, config: &serde_json::Value) -> PathBuf {
    let rootfs = directory.join("rootfs");
    for (path, content) in [
        ("usr/bin/sh", "#!"),
        (
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\nworker:x:7:8::/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nstaff:x:50:\n"),
    ] {
        let path = rootfs.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    symlink("usr/bin", rootfs.join("bin")).unwrap();
    let tar = directory.join("rootfs.tar");
    crate::fixture::run(
        std::process::Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&rootfs)
            .arg("."),
    );
    let layout = directory.join("base");
    layout_of(&[&tar], config, &layout);
    layout
}

fn upon_small_base(config: &serde_json::Value) -> (tempfile::TempDir, Fixture) {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Fixture::with_base(&small_base(directory.path(), config));
    (directory, fixture)
}

/// The entries of a layer: path, mode, owner.
fn entries(content: &BlobSource) -> Vec<String> {
    let BlobSource::File(path) = content else {
        panic!("{content:?} is not ours")
    };
    let plain = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap());
    let mut archive = tar::Archive::new(plain);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap());
        format!("{} {mode:o} {owner}", entry.path().unwrap().display())
    });
    entries.collect()
}

/// The same with user and group.
fn owners(content: &BlobSource) -> Vec<String> {
    let BlobSource::File(path) = content else {
        panic!("{content:?} is not ours")
    };
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(
        std::fs::File::open(path).unwrap(),
    ));
    let entries = archive.entries().unwrap().map(Result::unwrap).map(|entry| {
        let header = entry.header();
        format!(
            "{} {:o} {} {}",
            entry.path().unwrap().display(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap()
        )
    });
    entries.collect()
}

#[tokio::test]
async fn scratch_image_has_ca_certificates_and_user_files() {
    let fixture = Fixture::new();
    let binary = fixture.write("hello", vec![7; 300_000], 0o775);
    let image = fixture
        .build(&fixture.recipe(vec![spec("default", scratch())], &[("hello", &binary)]))
        .await
        .unwrap();
    let image = &image.platforms[0];
    let config = json(&image.config)["config"].clone();
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Cmd"], json!(["/union/bin/hello"]));
    assert_eq!(
        config["Env"],
        json!([format!("UNION_IMAGE_ID={}", key("a"))])
    );
    assert_eq!(config["Labels"]["union.key"], key("a").to_string());
    assert_eq!(
        entries(&image.layers[1].blob.content),
        ["union/ 755 0", "union/bin/ 755 0", "union/bin/hello 755 0"]
    );
    let scratch = entries(&image.layers[0].blob.content);
    for entry in [
        "etc/ssl/certs/ca-certificates.crt 644 0",
        "home/nonroot/ 755 65532",
        "tmp/ 1777 0",
        "etc/passwd 644 0",
    ] {
        assert!(scratch.contains(&entry.to_owned()), "{entry}: {scratch:?}");
    }
    let size: u64 = image
        .layers
        .iter()
        .map(|layer| layer.blob.descriptor.size)
        .sum();
    assert!(size < 300_000 + 1_000_000, "{size}");
}

#[tokio::test]
async fn code_edit_fetches_only_the_base_config() {
    let (_directory, fixture) =
        upon_small_base(&json!({ "Entrypoint": ["/swallow"], "Cmd": ["x"] }));
    let binary = fixture.write("hello", "one", 0o755);
    let recipe = fixture.recipe(vec![spec("default", reference())], &[("hello", &binary)]);
    let image = fixture.build(&recipe).await.unwrap();
    assert_eq!(fixture.source.fetched(), 1, "the config");
    fixture.write("hello", "two", 0o755);
    let edited = fixture.build(&recipe).await.unwrap();
    assert_eq!(fixture.source.fetched(), 1, "nothing");
    let layers = &image.platforms[0].layers;
    assert!(matches!(layers[0].blob.content, BlobSource::Remote(_)));
    assert_eq!(layers[0].diff_id, edited.platforms[0].layers[0].diff_id);
    assert_ne!(layers[1].diff_id, edited.platforms[0].layers[1].diff_id);
    let config = json(&image.platforms[0].config)["config"].clone();
    assert_eq!(
        (config.get("Entrypoint"), &config["Cmd"]),
        (None, &json!(["/union/bin/hello"]))
    );
}

#[tokio::test]
async fn copy_to_bin_follows_the_link_of_the_base() {
    let (_directory, fixture) = upon_small_base(&json!({}));
    fixture.write("tool", "tool", 0o755);
    let image = spec::ImageSpec {
        copy: vec![fixture.copy("tool", "/bin/tool")],
        ..spec("default", reference())
    };
    let image = fixture
        .build(&fixture.recipe(vec![image], &[]))
        .await
        .unwrap();
    assert_eq!(
        entries(&image.platforms[0].layers[1].blob.content),
        ["usr/bin/tool 755 0"]
    );
}

#[tokio::test]
async fn relative_copies_start_at_the_base_workdir() {
    for (config, placed) in [
        (
            json!({ "WorkingDir": "/srv/app/" }),
            [
                "srv/ 755 0",
                "srv/app/ 755 0",
                "srv/app/conf/ 755 0",
                "srv/app/conf/a 644 0",
            ]
            .as_slice(),
        ),
        (json!({}), ["conf/ 755 0", "conf/a 644 0"].as_slice()),
    ] {
        let (_directory, fixture) = upon_small_base(&config);
        fixture.write("conf/a", "a", 0o644);
        let image = spec::ImageSpec {
            copy: vec![fixture.copy("conf/a", "conf/a")],
            ..spec("default", reference())
        };
        let image = fixture
            .build(&fixture.recipe(vec![image], &[]))
            .await
            .unwrap();
        assert_eq!(
            entries(&image.platforms[0].layers[1].blob.content),
            placed,
            "{config}"
        );
    }
}

#[tokio::test]
async fn env_values_refer_to_variables_of_the_base() {
    let built = async |config: serde_json::Value, pairs: &[(&str, &str)]| {
        let (_directory, fixture) = upon_small_base(&config);
        let image = spec::ImageSpec {
            env: map(pairs),
            ..spec("default", reference())
        };
        let built = fixture.build(&fixture.recipe(vec![image], &[])).await;
        built.map(|image| json(&image.platforms[0].config)["config"]["Env"].clone())
    };
    let id = format!("UNION_IMAGE_ID={}", key("a"));
    let pairs = [("PATH", "/opt/bin:${PATH}"), ("B", "${A}$$")];
    let expected = json!(["PATH=/opt/bin:/usr/bin", "A=a=b", "B=a=b$", id]);
    assert_eq!(
        built(json!({ "Env": ["PATH=/usr/bin", "A=a=b"] }), &pairs)
            .await
            .unwrap(),
        expected
    );
    // Container runtimes set a path where an image sets none.
    let expected = json!([
        "PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        id
    ]);
    assert_eq!(built(json!({}), &pairs[..1]).await.unwrap(), expected);
    let error = built(json!({}), &pairs).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidValue);
    assert!(
        error.to_string().contains("the variable `B`")
            && error.chain()[1].contains("refers to `A`"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn user_names_are_resolved_by_the_passwd_file_of_the_base() {
    for (base, own, written) in [
        (json!({ "User": "worker" }), None, Some("7:8")),
        (json!({ "User": "1000" }), None, Some("1000")),
        (
            json!({ "User": "worker" }),
            Some("worker:staff"),
            Some("7:50"),
        ),
        (json!({}), None, None),
    ] {
        let (_directory, fixture) = upon_small_base(&base);
        let image = spec::ImageSpec {
            user: own.map(|user: &str| placed(user.to_owned())),
            ..spec("default", reference())
        };
        let image = fixture
            .build(&fixture.recipe(vec![image], &[]))
            .await
            .unwrap();
        assert_eq!(
            json(&image.platforms[0].config)["config"].get("User"),
            written.map(|user| json!(user)).as_ref(),
            "{base} {own:?}"
        );
    }
    let (_directory, fixture) = upon_small_base(&json!({}));
    let image = spec::ImageSpec {
        user: Some(placed("nobody".to_owned())),
        ..spec("default", reference())
    };
    let error = fixture
        .build(&fixture.recipe(vec![image], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::UnknownUser);
    assert!(
        error.to_string().contains("`nobody`") && error.to_string().contains("library/debian"),
        "{error}"
    );
}

#[tokio::test]
async fn copy_owner_is_resolved_by_the_files_of_the_base() {
    for (owner, written) in [
        ("worker", "7 8"),
        ("worker:staff", "7 50"),
        ("1000", "1000 1000"),
        ("1000:0", "1000 0"),
        ("root", "0 0"),
    ] {
        let (_directory, fixture) = upon_small_base(&json!({}));
        fixture.write("data/deep/file", "x", 0o644);
        symlink("file", fixture.path("workspace/data/deep/link")).unwrap();
        let copy = spec::Copy {
            owner: Some(placed(owner.to_owned())),
            ..fixture.copy("data", "/srv/app/data")
        };
        let image = spec::ImageSpec {
            copy: vec![copy, fixture.copy("data/deep", "/etc")],
            ..spec("default", reference())
        };
        let image = fixture
            .build(&fixture.recipe(vec![image], &[]))
            .await
            .unwrap();
        let expected = [
            "etc/file 644 0 0".to_owned(),
            "etc/link 777 0 0".to_owned(),
            format!("srv/ 755 {written}"),
            format!("srv/app/ 755 {written}"),
            format!("srv/app/data/ 755 {written}"),
            format!("srv/app/data/deep/ 755 {written}"),
            format!("srv/app/data/deep/file 644 {written}"),
            format!("srv/app/data/deep/link 777 {written}"),
        ];
        assert_eq!(
            owners(&image.platforms[0].layers[1].blob.content),
            expected,
            "{owner}"
        );
    }
    let (_directory, fixture) = upon_small_base(&json!({}));
    fixture.write("data", "x", 0o644);
    let copy = spec::Copy {
        owner: Some(placed("nobody".to_owned())),
        ..fixture.copy("data", "/data")
    };
    let image = spec::ImageSpec {
        copy: vec![copy],
        ..spec("default", reference())
    };
    let error = fixture
        .build(&fixture.recipe(vec![image], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::UnknownUser);
    assert!(
        error
            .to_string()
            .contains("owner `nobody` of the copy `data` of image `default`"),
        "{error}"
    );
}

#[tokio::test]
async fn copy_owner_on_scratch_may_be_nonroot() {
    let fixture = Fixture::new();
    fixture.write("data", "x", 0o644);
    let copy = spec::Copy {
        owner: Some(placed("nonroot".to_owned())),
        ..fixture.copy("data", "/data")
    };
    let image = spec::ImageSpec {
        copy: vec![copy],
        ..spec("default", scratch())
    };
    let image = fixture
        .build(&fixture.recipe(vec![image], &[]))
        .await
        .unwrap();
    assert_eq!(
        owners(&image.platforms[0].layers[1].blob.content),
        ["data 644 65532 65532"]
    );
}

#[tokio::test]
async fn extended_spec_gives_environment_and_config_without_code() {
    let (_directory, fixture) = upon_small_base(&json!({}));
    fixture.write("weights", "w", 0o644);
    fixture.write("more", "m", 0o644);
    let gpu = spec::ImageSpec {
        copy: vec![fixture.copy("weights", "/models/")],
        env: map(&[("RUST_LOG", "info"), ("A", "1")]),
        workdir: Some(placed("/srv".to_owned())),
        ..spec("gpu", reference())
    };
    let report = spec::ImageSpec {
        copy: vec![fixture.copy("more", "/models/")],
        env: map(&[("RUST_LOG", "debug")]),
        ..spec("report", spec::Base::Extends(placed("gpu".to_owned())))
    };
    let binary = fixture.write("train", "t", 0o755);
    let extended = fixture
        .build(&fixture.recipe(vec![gpu.clone()], &[("train", &binary)]))
        .await
        .unwrap();
    let image = fixture
        .build(&fixture.recipe(vec![gpu, report], &[]))
        .await
        .unwrap();
    let (extended, image) = (&extended.platforms[0], &image.platforms[0]);
    assert_eq!(
        image.layers[1].diff_id, extended.layers[1].diff_id,
        "the layer of the extended spec is shared"
    );
    assert_eq!(
        entries(&image.layers[2].blob.content),
        ["models/more 644 0"],
        "the directory is there by then"
    );
    assert_eq!(image.layers.len(), 3, "base, two copies, and no code");
    let config = json(&image.config)["config"].clone();
    assert_eq!(config["WorkingDir"], "/srv");
    let id = format!("UNION_IMAGE_ID={}", key("a"));
    assert_eq!(config["Env"], json!(["A=1", "RUST_LOG=debug", id]));
    assert_eq!(config.get("Cmd"), None);
}

#[tokio::test]
async fn image_of_several_binaries_has_no_command() {
    let fixture = Fixture::new();
    let (one, two) = (
        fixture.write("one", "1", 0o755),
        fixture.write("two", "2", 0o755),
    );
    let image = fixture
        .build(&fixture.recipe(
            vec![spec("default", scratch())],
            &[("one", &one), ("two", &two)],
        ))
        .await
        .unwrap();
    assert_eq!(json(&image.platforms[0].config)["config"].get("Cmd"), None);
}

#[tokio::test]
async fn index_has_all_platforms_and_the_key() {
    let fixture = Fixture::new();
    let binary = fixture.write("hello", "x", 0o755);
    let own = spec::ImageSpec {
        annotations: map(&[("org.opencontainers.image.title", "hello")]),
        ..spec("default", scratch())
    };
    let mut recipe = fixture.recipe(vec![own], &[("hello", &binary)]);
    let mut arm = recipe.platforms[0].clone();
    arm.platform = platform("linux/arm64");
    recipe.platforms.push(arm);
    let image = fixture.build(&recipe).await.unwrap();
    let index = json(image.index.as_ref().unwrap());
    let annotations = json!({ "org.opencontainers.image.title": "hello", "union.key": key("a").to_string(), "union.start-check": "skipped" });
    assert_eq!(index["annotations"], annotations);
    for (entry, platform) in index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .zip(&image.platforms)
    {
        assert_eq!(
            entry["digest"],
            platform.manifest.descriptor.digest.to_string()
        );
        assert_eq!(entry["platform"], json!(platform.platform));
        assert_eq!(json(&platform.manifest)["annotations"], annotations);
        assert_eq!(
            json(&platform.config)["architecture"],
            json!(platform.platform.architecture)
        );
    }
}

#[tokio::test]
async fn manifest_does_not_depend_on_directory_umask_and_cache() {
    let mut digests = Vec::new();
    for (file, program) in [(0o600, 0o700), (0o664, 0o775)] {
        let fixture = Fixture::new();
        fixture.write("conf/app.toml", "x = 1", file);
        fixture.write("conf/run", "#!/bin/sh", program);
        let binary = fixture.write("hello", "binary", program);
        let image = spec::ImageSpec {
            copy: vec![fixture.copy("conf", "/etc/app/")],
            ..spec("default", scratch())
        };
        let image = fixture
            .build(&fixture.recipe(vec![image], &[("hello", &binary)]))
            .await
            .unwrap();
        digests.push(image.top().descriptor.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn custom_ca_bundle_replaces_the_built_in_one() {
    let fixture = Fixture::new();
    let bundle = fixture.write("ca.pem", "-----BEGIN CERTIFICATE-----\n", 0o600);
    let image = spec::ImageSpec {
        ca_certificates: Some(placed(bundle.clone())),
        ..spec("default", scratch())
    };
    let image = fixture
        .build(&fixture.recipe(vec![image], &[]))
        .await
        .unwrap();
    let BlobSource::File(path) = &image.platforms[0].layers[0].blob.content else {
        panic!()
    };
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(
        std::fs::File::open(path).unwrap(),
    ));
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let entry = entries
        .find(|entry| entry.path().unwrap().ends_with("ca-certificates.crt"))
        .unwrap();
    assert_eq!(
        std::io::read_to_string(entry).unwrap(),
        "-----BEGIN CERTIFICATE-----\n"
    );

    let (_directory, upon) = upon_small_base(&json!({}));
    let image = spec::ImageSpec {
        ca_certificates: Some(placed(bundle)),
        ..spec("default", reference())
    };
    let image = upon.build(&upon.recipe(vec![image], &[])).await.unwrap();
    let expected = [
        "etc/ssl/ 755 0",
        "etc/ssl/certs/ 755 0",
        "etc/ssl/certs/ca-certificates.crt 644 0",
    ];
    assert_eq!(
        self::entries(&image.platforms[0].layers[1].blob.content),
        expected
    );
}

#[tokio::test]
async fn zstd_is_used_on_request_with_the_same_content() {
    let fixture = Fixture::new();
    let binary = fixture.write("hello", vec![1; 100_000], 0o755);
    let mut diff_ids = Vec::new();
    for (compression, media_type) in [
        (Compression::Gzip, media_type::OCI_LAYER_GZIP),
        (Compression::Zstd, media_type::OCI_LAYER_ZSTD),
    ] {
        let origin = union_build::diag::Origin::Flag("--compression");
        let image = spec::ImageSpec {
            compression: Sourced {
                value: compression,
                origin,
            },
            ..spec("default", scratch())
        };
        let image = fixture
            .build(&fixture.recipe(vec![image], &[("hello", &binary)]))
            .await
            .unwrap();
        assert_eq!(
            image.platforms[0].layers[1].blob.descriptor.media_type,
            media_type
        );
        diff_ids.push(image.platforms[0].layers[1].diff_id);
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
}

#[tokio::test]
async fn native_builder_refuses_commands_and_names_docker() {
    let fixture = Fixture::new();
    let image = spec::ImageSpec {
        apt_packages: texts(&["libpq5"]),
        ..spec("gpu", reference())
    };
    let error = fixture
        .build(&fixture.recipe(vec![image, spec("report", reference())], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedByBuilder);
    assert!(
        error.chain().join(": ").contains("`gpu`: `apt-packages`")
            && error.advice().contains("docker"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn locked_base_with_another_architecture_is_a_warning() {
    let (_directory, fixture) = upon_small_base(&json!({}));
    let mut recipe = fixture.recipe(vec![spec("default", reference())], &[]);
    recipe.platforms[0].platform = platform("linux/arm64");
    let image = fixture.build(&recipe).await.unwrap();
    let BlobSource::Bytes(config) = &image.platforms[0].config.content else {
        panic!()
    };
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(config).unwrap()["architecture"],
        "arm64"
    );
    let warned = fixture.source.warned();
    assert!(
        matches!(&warned[..], [one] if one.contains("declares the platform `linux/amd64`") && one.contains("`linux/arm64`")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn copied_files_equal_the_measured_files() {
    let (_directory, fixture) = upon_small_base(&json!({}));
    fixture.write("conf/model", "one", 0o644);
    let image = spec::ImageSpec {
        copy: vec![fixture.copy("conf", "/conf")],
        ..spec("default", reference())
    };
    let recipe = fixture.recipe(vec![image], &[]);
    let key = |files: &MeasuredFiles| {
        let (chain, roots, bases) = (
            &recipe.chain,
            fixture.roots(),
            [(platform("linux/amd64"), None)].into_iter().collect(),
        );
        let environment = EnvironmentSettings {
            chain,
            bases: &bases,
            tools: &PerPlatform::default(),
            generations: &[0],
            roots: &roots,
            files,
        };
        environment_inputs(&environment).unwrap().key("environment")
    };
    let before = key(&recipe.files);
    // Later changes have another key.
    fixture.write("conf/late", "late", 0o644);
    let built = fixture.build(&recipe).await.unwrap();
    assert_eq!(
        entries(&built.platforms[0].layers[1].blob.content),
        ["conf/ 755 0", "conf/model 644 0"]
    );
    assert_eq!(key(&recipe.files), before);
    assert_ne!(key(&fixture.files()), before);
    for then in ["two", "longer", ""] {
        fixture.write("conf/model", then, 0o644);
        let moved = BuildRequest {
            source_date_epoch: 1,
            ..recipe.clone()
        };
        let error = fixture.build(&moved).await.unwrap_err();
        assert_eq!(error.code(), Code::InputsMoved, "{then}");
        assert!(error.to_string().contains("conf/model"), "{error}");
    }
    std::fs::remove_file(fixture.path("workspace/conf/model")).unwrap();
    assert_eq!(
        fixture
            .build(&BuildRequest {
                source_date_epoch: 1,
                ..recipe
            })
            .await
            .unwrap_err()
            .code(),
        Code::FileUnreadable
    );
}
