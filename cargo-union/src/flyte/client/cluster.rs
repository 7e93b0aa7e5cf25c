//! Which cluster serves what: the backend is asked once per operation and resource, and may name itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use union_build::diag::Code;

use super::Client;
use crate::flyte::config::BackendEndpoint;
use crate::flyte::idl::cluster::select_cluster_request;
use crate::flyte::idl::cluster::{SelectClusterRequest, SelectClusterResponse};
use crate::flyte::rpc::{RpcFailure, Unary};
use crate::http::error::clean;
use crate::http::{Url, authority, same_origin};

pub use select_cluster_request::{Operation, Resource};

const SELECT: Unary<SelectClusterRequest, SelectClusterResponse> = Unary::repeatable("flyteidl2.cluster.ClusterService", "SelectCluster");

/// The servers that were named; found out once, however many wait for it.
#[derive(Default)]
pub(super) struct ClusterCache(Mutex<HashMap<(i32, String), Named>>);

type Named = Arc<OnceCell<Url>>;

impl Client {
    /// The client for an operation on a resource: at the server that the backend names for it, with the same login.
    ///
    /// # Errors
    /// When the backend names none that may be used.
    pub async fn at(&self, operation: Operation, resource: Resource) -> Result<Self, RpcFailure> {
        // Messages have no order or hash of their own; their text has.
        let key = (operation as i32, format!("{resource:?}"));
        let cell = self.clusters.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        let base = cell.get_or_try_init(|| self.select(operation, resource)).await?;
        Ok(Self { line: self.line.to(base.clone()), ..self.clone() })
    }

    async fn select(&self, operation: Operation, resource: Resource) -> Result<Url, RpcFailure> {
        let request = SelectClusterRequest { operation: operation as i32, resource: Some(resource) };
        let named = self.unary(SELECT, &request).await?.cluster_endpoint;
        if named.is_empty() {
            return Ok(self.line.base.clone());
        }
        let invalid = |why: &str| {
            let cause = format!("{} names the cluster `{}`, which {why}", authority(&self.line.base), clean(&named));
            RpcFailure::new(Code::BackendInvalid, cause)
        };
        let endpoint = BackendEndpoint::parse(&named).map_err(invalid)?;
        let url = Url::parse(&endpoint.to_string()).map_err(|_| invalid("is no address"))?;
        if same_origin(&url, &self.line.base) {
            return Ok(url);
        }
        // The login goes along, so it has to go encrypted wherever it is encrypted here.
        Ok(self.line.transport.checked(&self.line.base, url)?)
    }
}
