use proptest::prelude::*;

use super::*;

fn inputs<const N: usize>(pairs: [(&str, Value); N]) -> Inputs {
    let mut inputs = Inputs::new();
    pairs
        .into_iter()
        .for_each(|(name, value)| inputs.insert(name, value));
    inputs
}

/// One of every kind of value.
fn sample() -> Inputs {
    inputs([
        ("apt-packages", Value::texts(["libpq5", "ca-certificates"])),
        ("base-image linux/amd64", Value::hash_of("a manifest")),
        ("default-features", Value::Bool(true)),
        (
            "env",
            Value::Map(
                [
                    ("RUST_LOG".to_owned(), Value::from("info")),
                    ("A".to_owned(), Value::from("")),
                ]
                .into(),
            ),
        ),
        ("mode", Value::Number(-1)),
        ("user", Value::from("1000")),
    ])
}

/// A changed value here means that the keys of all existing images have changed, which requires a new [`FORMAT`].
#[test]
fn keys_are_the_known_answers_on_every_machine() {
    for (inputs, kind, hex) in [
        (
            Inputs::new(),
            "image",
            "8fc6c5cd6eefb9883b9840278b2a8fbe22e8b23fe42e99e509c5d9b863e480af",
        ),
        (
            Inputs::new(),
            "environment",
            "bb60fecdcac5543ea836d6dad81a6163b6ce8916a8e1016c70ccba357d991f38",
        ),
        (
            inputs([("user", Value::from("1000"))]),
            "image",
            "d8d95f690e11cefea00fcac81195e8ac7fb63748b4c5513fcbd27f0cea810240",
        ),
        (
            sample(),
            "image",
            "e303821b680e05cce3e77c90636c3009b5f60efb6957b5aa5b7485862d2be6b6",
        ),
    ] {
        assert_eq!(inputs.key(kind).to_string(), hex, "{inputs:?}");
    }
}

#[test]
fn tag_keys_are_the_known_answers() {
    let key = sample().key("image");
    assert_eq!(key.spec_hash(), "wc1r46v81r2wsrz7fj866v1g16");
    let images = [
        ("default".to_owned(), Inputs::new().key("image")),
        ("gpu".to_owned(), key),
    ]
    .into();
    assert_eq!(
        tag_key("gpu", &images).to_string(),
        "00e8cf8776adda2b580faac1ac8fdffc2cbff1f33a8d7583b771b921431ba49c"
    );
    assert_eq!(
        tag_key("default", &images).spec_hash(),
        "18qddbqhh2mn5cxc2b8f9ez098"
    );
}

#[test]
fn tag_key_changes_with_every_image_of_the_package() {
    let tag = |gpu: &str| {
        let gpu = inputs([("apt-packages", Value::texts([gpu]))]).key("image");
        tag_key(
            "default",
            &[
                ("default".to_owned(), Inputs::new().key("image")),
                ("gpu".to_owned(), gpu),
            ]
            .into(),
        )
    };
    assert_ne!(tag("libpq5"), tag("libpq6"));
}

/// Flyte's own tags are equal for some of these.
#[test]
fn inputs_with_equal_concatenation_have_different_keys() {
    let apt = |packages: &[&str]| {
        inputs([("apt-packages", Value::texts(packages.iter().copied()))]).key("environment")
    };
    let commands = |commands: &[&str]| {
        inputs([("commands", Value::texts(commands.iter().copied()))]).key("environment")
    };
    let keys = [
        apt(&["a", "bc"]),
        apt(&["ab", "c"]),
        apt(&["abc"]),
        apt(&["a bc"]),
        apt(&["bc", "a"]),
        apt(&["at", "b"]),
        apt(&["a", "tb"]),
        commands(&["abc"]),
        commands(&["a", "bc"]),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
}

#[test]
fn values_of_different_types_have_different_keys() {
    let key_of = |value: Value| inputs([("x", value)]).key("image");
    let keys = [
        key_of(Value::from("")),
        key_of(Value::from("1")),
        key_of(Value::Number(1)),
        key_of(Value::Bool(true)),
        key_of(Value::Bool(false)),
        key_of(Value::Number(0)),
        key_of(Value::List(vec![])),
        key_of(Value::Map(BTreeMap::new())),
        key_of(Value::texts(["1"])),
        key_of(Value::hash_of("1")),
        key_of(Value::from(hex(&Sha256::digest("1")))),
        Inputs::new().key("image"),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
}

#[test]
fn spec_hash_is_a_tag_of_130_bits() {
    let hash = Key([0xff; 32]).spec_hash();
    assert_eq!(hash, "z".repeat(26));
    // The 130th bit counts, the 131st does not.
    let last = |byte: u8| {
        let mut bytes = [0; 32];
        bytes[16] = byte;
        Key(bytes).spec_hash()
    };
    assert_ne!(last(0b0100_0000), last(0));
    assert_eq!(last(0b0010_0000), last(0));
}

#[test]
fn two_values_under_one_name_are_both_hashed() {
    let key_of = |first: &str, second: &str| {
        let mut inputs = inputs([("user", Value::from(first))]);
        inputs.insert("user", second);
        inputs.key("image")
    };
    let single = inputs([("user", Value::from("a"))]).key("image");
    assert_eq!(key_of("a", "a"), single);
    assert!(
        key_of("a", "b") != single
            && key_of("a", "b") != key_of("a", "c")
            && key_of("a", "b") != key_of("b", "b")
    );
}

#[test]
fn plan_shows_plain_values_in_full_and_hashes_shortened() {
    let long = "apt-get update && apt-get install --yes ".repeat(4);
    let pair = Value::List(vec![Value::from("token"), Value::Bool(true)]);
    for (value, shown) in [
        (Value::from("1"), "1".to_owned()),
        (Value::from(""), "\"\"".to_owned()),
        (Value::from(long.clone()), long),
        (Value::from("two\nlines"), "\"two\\nlines\"".to_owned()),
        (
            Value::texts(["a", "b c", "d", "e", "f"]),
            "a, b c, d, e, f".to_owned(),
        ),
        (Value::texts(["a, b"]), "\"a, b\"".to_owned()),
        (Value::texts([""; 0]), "none".to_owned()),
        (Value::List(vec![pair]), "[token, true]".to_owned()),
        (
            Value::Map([("a".to_owned(), Value::from("/b"))].into()),
            "a = /b".to_owned(),
        ),
        (Value::hash_of("1"), "6b86b273ff34".to_owned()),
    ] {
        assert_eq!(value.to_string(), shown);
    }
    let hashed = Value::List(vec![Value::from("a"), Value::hash_of("1")]).to_string();
    assert!(
        hashed.len() == 12 && hashed.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{hashed}"
    );
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        // The encoding begins a text with `t`.
        "[at]{0,3}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        (-2_i64..3).prop_map(Value::Number),
        "[ab]{0,2}".prop_map(Value::hash_of),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            proptest::collection::btree_map("[at]{0,2}", inner, 0..3).prop_map(Value::Map),
        ]
    })
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, Value>> {
    proptest::collection::btree_map("[ab]{1,2}", value(), 0..4)
}

proptest! {
    #[test]
    fn different_inputs_have_different_keys(one in pairs(), two in pairs()) {
        let left = Inputs(one.clone());
        let right = Inputs(two.clone());
        prop_assert_eq!(one == two, left.key("image") == right.key("image"));
        prop_assert_ne!(left.key("image"), left.key("environment"));
    }

    #[test]
    fn key_does_not_depend_on_the_order_of_inputs(given in pairs()) {
        let mut forward = Inputs::new();
        let mut backward = Inputs::new();
        given.iter().for_each(|(name, value)| forward.insert(name, value.clone()));
        given.iter().rev().for_each(|(name, value)| backward.insert(name, value.clone()));
        prop_assert_eq!(forward.key("image"), backward.key("image"));
    }

    #[test]
    fn any_single_change_changes_the_key(given in pairs(), name in "[ab]{1,2}", changed in value()) {
        let mut other = given.clone();
        let before = other.insert(name, changed.clone());
        prop_assert_eq!(Inputs(given).key("image") == Inputs(other).key("image"), before == Some(changed));
    }

    #[test]
    fn spec_hash_is_a_valid_tag(given in pairs()) {
        let hash = Inputs(given).key("image").spec_hash();
        prop_assert!(hash.len() == 26 && crate::spec::names::is_tag(&hash), "{}", hash);
    }
}
