//! Cluster selection: the backend may return another server for an operation on a resource, and is queried once for
//! each.

use union_build::diag::Code;

use super::Client;
use crate::flyte::config::BackendEndpoint;
use crate::flyte::idl::cluster::select_cluster_request;
use crate::flyte::idl::cluster::{SelectClusterRequest, SelectClusterResponse};
use crate::flyte::rpc::{RpcFailure, Unary};
use crate::http::error::clean;
use crate::http::{Url, authority, same_origin};

pub use select_cluster_request::{Operation, Resource};

const SELECT: Unary<SelectClusterRequest, SelectClusterResponse> =
    Unary::repeatable("flyteidl2.cluster.ClusterService", "SelectCluster");

impl Client {
    /// A client with the same login, connected to the server that the backend returns for an operation on a resource.
    ///
    /// # Errors
    /// U0757 (`BackendInvalid`) when the returned address is not valid or not encrypted; failures of the call.
    pub async fn at(&self, operation: Operation, resource: Resource) -> Result<Self, RpcFailure> {
        // Protobuf messages implement neither `Ord` nor `Hash`, so the key is the text of the resource.
        let key = (operation as i32, format!("{resource:?}"));
        let cell = self.clusters.cell(key);
        let base = cell
            .get_or_try_init(|| self.select(operation, resource))
            .await?;
        Ok(Self {
            connection: self.connection.to(base.clone()),
            ..self.clone()
        })
    }

    async fn select(&self, operation: Operation, resource: Resource) -> Result<Url, RpcFailure> {
        let request = SelectClusterRequest {
            operation: operation as i32,
            resource: Some(resource),
        };
        let address = self.unary(SELECT, &request).await?.cluster_endpoint;
        if address.is_empty() {
            return Ok(self.connection.base.clone());
        }
        let invalid = |why: &str| {
            let cause = format!(
                "{} names the cluster `{}`, which {why}",
                authority(&self.connection.base),
                clean(&address)
            );
            RpcFailure::new(Code::BackendInvalid, cause)
        };
        let endpoint = BackendEndpoint::parse(&address).map_err(invalid)?;
        let url = Url::parse(&endpoint.to_string()).map_err(|_| invalid("is not an address"))?;
        if same_origin(&url, &self.connection.base) {
            return Ok(url);
        }
        // The login is sent to this server too, so it must be encrypted if the backend is.
        Ok(self
            .connection
            .transport
            .checked(&self.connection.base, url)?)
    }
}
