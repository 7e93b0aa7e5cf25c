//! A server on this machine for the parts of the backend that a running worker uses.
//!
//! A worker of the `flyte` crate reports each traced step, and requests the steps that are recorded already. On the
//! backend, the ActionsService does this; here it is a server on loopback for the duration of one run. `store` has the
//! steps, and `grpc` is the protocol, because the worker's client supports only gRPC.

mod grpc;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use union_build::diag::Code;

use super::Reporter;
use crate::sys::error::{Error, Result};
use grpc::ActionService;
use store::ActionStore;
pub use store::RecordedAction;

/// An actions server on loopback. Dropping it stops the server.
pub struct Actions {
    store: Arc<ActionStore>,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Actions {
    /// Starts the server on a free port.
    ///
    /// # Errors
    /// U0802 (`NotRunHere`) when no port of loopback can be used.
    pub async fn serve(reporter: Arc<dyn Reporter>) -> Result<Self> {
        let failed = |cause: std::io::Error| {
            Error::new(
                Code::NotRunHere,
                "could not start the server for actions on this machine",
            )
            .because(format!("no port of 127.0.0.1 can be listened on: {cause}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let store = Arc::new(ActionStore::new(reporter));
        let service = ActionService(store.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            // Serving on a bound loopback listener does not fail; a worker reports a lost connection itself.
            let _ = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await;
        });
        Ok(Self {
            store,
            address,
            _serving: serving,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whether a worker has made any call.
    pub fn was_reached(&self) -> bool {
        self.store.was_reached()
    }

    /// The recorded steps, in order.
    pub fn steps(&self) -> Vec<RecordedAction> {
        self.store.steps()
    }
}
