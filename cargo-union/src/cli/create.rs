//! Arguments of `create`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `create`
#[derive(Debug, Subcommand)]
pub enum CreateCommand {
    /// Write a Flyte config for a backend, as the Flyte CLI does
    Config(CreateConfigArgs),
}

/// `create config`
#[derive(Args, Debug)]
pub struct CreateConfigArgs {
    /// Backend, `host[:port]`
    #[arg(long, value_name = "ENDPOINT")]
    pub endpoint: String,

    /// Connect without encryption, and so without a login; the same as `http://`
    #[arg(long)]
    pub insecure: bool,

    /// Organization of the backend [default: the first label of its host]
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,

    /// Flyte project, where a manifest names none
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,

    /// Flyte domain, where a manifest names none
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,

    /// How to log in
    #[arg(long, value_name = "TYPE", value_parser = ["Pkce", "DeviceFlow", "ClientSecret", "ExternalCommand"])]
    pub auth_type: Option<String>,

    /// Builder of images, where a manifest names none
    #[arg(long, visible_alias = "builder", value_name = "BUILDER", value_parser = ["local", "remote"])]
    pub image_builder: Option<String>,

    /// Registry that images go to, where a manifest names none
    #[arg(long, value_name = "REGISTRY")]
    pub registry: Option<String>,

    /// The file
    #[arg(short, long, value_name = "FILE", default_value = ".flyte/config.yaml")]
    pub output: PathBuf,

    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,
}
