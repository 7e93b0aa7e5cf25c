//! Fields of a task that the messages of the official SDK do not show.

use super::*;

#[test]
fn worker_log_level_defaults_to_lines_of_the_user() {
    let env = |kind: &str, lines: &str, of_image: &[&str]| {
        let task = declared(
            true,
            &format!("bin = \"hello-trace\"\nkind = \"{kind}\"\n{lines}"),
        );
        let subject = TaskSource {
            image_env: of_image.iter().map(|name| (*name).to_owned()).collect(),
            ..TaskSource::plain(&task, &Interface::default())
        };
        let mut spec = deploy_task(&subject, &ProjectDomain::default(), "v1")
            .spec
            .unwrap();
        let env = container(&mut spec).env.drain(..);
        env.map(|pair| format!("{}={}", pair.key, pair.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        env("rust", "", &[]),
        ["NO_COLOR=1", "RUST_LOG=info,flyte_controller_base=error"]
    );
    assert_eq!(
        env(
            "rust",
            "env = { RUST_LOG = \"debug\", A = \"b\" }",
            &["NO_COLOR"]
        ),
        ["A=b", "RUST_LOG=debug"]
    );
    assert_eq!(env("container", "", &[]), [""; 0]);
}

#[test]
fn accelerators_of_other_vendors_have_their_device_class() {
    for (gpu, device, class) in [
        ("T4:1", "nvidia-tesla-t4", serde_json::Value::Null),
        ("V5E:4", "tpu-v5-lite-podslice", "GOOGLE_TPU".into()),
        ("Trn1:1", "Trn1", "AMAZON_NEURON".into()),
        ("MI300X:8", "MI300X", "AMD_GPU".into()),
        ("my-card:1", "my-card", serde_json::Value::Null),
    ] {
        let task = declared(
            false,
            &format!(
                "bin = \"job\"\nresources = {{ gpu = \"{gpu}\", gpu-partition = \"1g.5gb\" }}"
            ),
        );
        let spec = to_json(&task_spec_of(&task, "app", &Interface::default(), "i"));
        let accelerator = &spec["taskTemplate"]["extendedResources"]["gpuAccelerator"];
        assert_eq!(
            (&accelerator["device"], &accelerator["deviceClass"]),
            (&device.into(), &class),
            "{gpu}"
        );
        assert_eq!(accelerator["partitionSize"], "1g.5gb");
    }
    let any = declared(false, "bin = \"job\"\nresources.gpu = 2");
    let spec = to_json(&task_spec_of(&any, "app", &Interface::default(), "i"));
    assert!(
        spec["taskTemplate"].get("extendedResources").is_none(),
        "{spec}"
    );
    assert_eq!(
        spec["taskTemplate"]["container"]["resources"]["requests"][0]["value"],
        "2"
    );
}

#[test]
fn descriptions_entrypoint_and_links_are_in_their_fields() {
    let lines = "bin = \"job\"\nname = \"a.b\"\ndescription = \"short\"\nlong-description = \"long\"\nsource-code = \"https://a.b/c\"\n\
                 links = { Metrics = \"https://m.n\" }\npod-template = \"pods\"\ncache = { max-age = \"1d\" }\nresources.shm = \"1Gi\"";
    let task = declared(false, lines);
    let interface = Interface::default();
    let entrypoint = ["/bin/tini".to_owned(), "--".to_owned()];
    let subject = TaskSource {
        name: "a.b".to_owned(),
        entrypoint: entrypoint.to_vec(),
        program: "/union/bin/job".to_owned(),
        ..TaskSource::plain(&task, &interface)
    };
    let spec = to_json(
        &deploy_task(&subject, &ProjectDomain::default(), "v1")
            .spec
            .unwrap(),
    );
    let expected = serde_json::json!({ "shortDescription": "short", "longDescription": "long", "sourceCode": { "link": "https://a.b/c" } });
    assert_eq!(spec["documentation"], expected);
    let template = &spec["taskTemplate"];
    assert_eq!(
        template["container"]["command"],
        serde_json::json!(["/bin/tini", "--"])
    );
    assert_eq!(
        template["container"]["args"],
        serde_json::json!(["/union/bin/job"])
    );
    assert_eq!(
        template["metadata"]["logLinks"],
        serde_json::json!([{ "name": "Metrics", "uri": "https://m.n" }])
    );
    assert_eq!(
        (
            &template["metadata"]["podTemplateName"],
            &template["metadata"]["cacheMaxAge"]
        ),
        (&"pods".into(), &"86400s".into())
    );
    assert_eq!(template["metadata"]["discoveryVersion"], "k");
    assert_eq!(
        template["extendedResources"]["sharedMemory"]["sizeLimit"],
        "1Gi"
    );
}

#[test]
fn launcher_precedes_the_entrypoint_with_outputs_and_timeout() {
    let container = |flyte: bool, lines: &str| {
        let task = declared(flyte, lines);
        let interface = if flyte {
            Interface::default()
        } else {
            Interface::of_manifest(&task)
        };
        let entrypoint = vec!["/bin/env".to_owned()];
        let source = TaskSource {
            launcher: true,
            entrypoint,
            program: "/union/bin/job".to_owned(),
            ..TaskSource::plain(&task, &interface)
        };
        let spec = to_json(
            &deploy_task(&source, &ProjectDomain::default(), "v1")
                .spec
                .unwrap(),
        );
        let template = &spec["taskTemplate"];
        let words = |key: &str| {
            let words = template["container"][key]
                .as_array()
                .cloned()
                .unwrap_or_default();
            words
                .iter()
                .map(|word| word.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        (
            words("command"),
            words("args"),
            template["interface"]["outputs"]["variables"].clone(),
        )
    };

    let lines = "bin = \"job\"\noutputs = { n = \"integer\", m = \"file\" }\ntimeout = \"1m30s\"\ncommand = [\"job\", \"a\"]";
    let (command, args, outputs) = container(false, lines);
    let expected = "/union/launcher --output-directory /var/outputs --output m=file --output n=integer --timeout 90 -- /bin/env";
    assert_eq!(
        (command.as_str(), args.as_str()),
        (expected, "/union/bin/job a")
    );
    assert_eq!(outputs.as_array().unwrap().len(), 2);

    let (command, _, outputs) = container(false, "bin = \"job\"");
    assert_eq!(
        command,
        "/union/launcher --output-directory /var/outputs --empty-output union_none -- /bin/env"
    );
    assert_eq!(
        outputs,
        serde_json::json!([{ "key": "union_none", "value": { "type": { "simple": "NONE" } } }])
    );

    let (command, _, outputs) = container(
        true,
        "bin = \"hello-trace\"\nkind = \"rust\"\ntimeout = \"5s\"",
    );
    assert_eq!(command, "/union/launcher --timeout 5 -- /bin/env");
    assert!(outputs.is_null(), "{outputs}");
}
