//! A typical worker: it reads a request, fetches, parses, computes and responds. What it does does not matter; it has to
//! be linked from many crates.

use std::io::Write;

use anyhow::Context as _;
use clap::Parser;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The line that the benchmarks edit.
const EDIT: u64 = 0;

#[derive(Parser)]
enum Arguments {
    /// Processes one request and prints its result.
    Once { url: String },
    /// Reads requests from standard input, one per line.
    Lines,
}

#[derive(Deserialize, Serialize)]
struct Request {
    url: String,
    pattern: String,
    settings: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: uuid::Uuid,
    at: chrono::DateTime<chrono::Utc>,
    edit: u64,
    matches: Vec<String>,
    settings: toml::Table,
    digest: Vec<u8>,
}

async fn answer(request: Request) -> anyhow::Result<Answer> {
    let body = reqwest::get(&request.url)
        .await?
        .error_for_status()?
        .text()
        .await?;
    let pattern = regex::Regex::new(&request.pattern).context("the pattern is not valid")?;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(body.as_bytes())?;
    tracing::info!(bytes = body.len(), "fetched");
    Ok(Answer {
        id: uuid::Uuid::new_v4(),
        at: chrono::Utc::now(),
        edit: EDIT,
        matches: pattern
            .find_iter(&body)
            .map(|matched| matched.as_str().to_owned())
            .collect(),
        settings: request.settings.as_deref().unwrap_or_default().parse()?,
        digest: Sha256::digest(packed.finish()?).to_vec(),
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok()
        .context("a provider is installed already")?;
    match Arguments::parse() {
        Arguments::Once { url } => {
            let answer = answer(Request {
                url,
                pattern: r"\w+".to_owned(),
                settings: None,
            })
            .await?;
            println!("{}", serde_json::to_string_pretty(&answer)?);
        }
        Arguments::Lines => {
            for line in std::io::stdin().lines() {
                println!(
                    "{}",
                    serde_json::to_string(&answer(serde_json::from_str(&line?)?).await?)?
                );
            }
        }
    }
    Ok(())
}
