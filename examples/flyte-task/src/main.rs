//! A task of the `flyte` crate. Each traced step is an action of its own.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, flyte::FlyteStruct)]
struct Stats {
    mean: f64,
    count: i64,
    label: String,
}

#[flyte::trace]
async fn double(x: i64) -> Result<i64, flyte::Error> {
    if x < 0 {
        return Err(flyte::Error::user("Negative", format!("{x} is below zero")));
    }
    Ok(x * 2)
}

#[flyte::trace]
async fn stats(total: i64, label: String) -> Result<Stats, flyte::Error> {
    Ok(Stats {
        mean: total as f64 / 2.0,
        count: 2,
        label,
    })
}

#[flyte::main]
#[flyte::task]
async fn describe(x: i64, label: String) -> Result<Stats, flyte::Error> {
    stats(double(x).await?, label).await
}
