//! Arguments of `push`.

use std::path::PathBuf;

use clap::Args;

/// `push`
#[derive(Args, Debug)]
pub struct PushArgs {
    /// Image in a registry, `REGISTRY/NAME:TAG`, `REGISTRY/NAME@DIGEST` or with both; a digest alone is pushed without a tag
    #[arg(value_name = "REF")]
    pub image: String,

    /// Registry to push to, `host[:port][/path]`; the image keeps the last part of its name
    #[arg(long, value_name = "REGISTRY")]
    pub to: String,

    /// Replace another image that has the tag there; the old image keeps a tag of its own
    #[arg(long)]
    pub rebuild: bool,

    /// Sign the copy with a P-256 key in PEM, plain or encrypted by cosign
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,

    /// Docker config.json to read logins from
    #[arg(long, value_name = "PATH")]
    pub registry_config: Option<String>,
}
