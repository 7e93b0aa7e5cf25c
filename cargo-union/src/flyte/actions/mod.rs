//! What of the backend a running worker needs, on this machine.
//!
//! A worker of the `flyte` crate tells each traced step when it is done, and asks which are there already.
//! On the backend that is the ActionsService; here it is a server on loopback that lasts as long as one
//! run. `ledger` knows the steps, `grpc` is the line: the worker's client speaks nothing else.

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

/// A server that a worker reaches on this machine. It is closed when this is dropped.
pub struct Actions {
    ledger: Arc<ActionStore>,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Actions {
    /// Begins to serve, on a port that is free.
    ///
    /// # Errors
    /// `NotRunHere` when nothing can listen on loopback.
    pub async fn serve(reporter: Arc<dyn Reporter>) -> Result<Self> {
        let failed = |cause: std::io::Error| {
            Error::new(Code::NotRunHere, "could not stand in for the backend on this machine")
                .because(format!("no port of 127.0.0.1 can be listened on: {cause}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ledger = Arc::new(ActionStore::new(reporter));
        let service = ActionService(ledger.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            // A listener of our own fails with nothing; a worker that is cut off says so itself.
            let _ = Server::builder().add_service(service).serve_with_incoming(incoming).await;
        });
        Ok(Self { ledger, address, _serving: serving })
    }

    /// The port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whether any worker has asked for anything.
    pub fn was_reached(&self) -> bool {
        self.ledger.was_reached()
    }

    /// The steps that were told, in order.
    pub fn steps(&self) -> Vec<RecordedAction> {
        self.ledger.steps()
    }
}
