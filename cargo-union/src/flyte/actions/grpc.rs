//! The gRPC server of the ActionsService: two methods, without generated code.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _, stream};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::store::ActionStore;
use crate::flyte::idl::actions::watch_for_updates_request::Filter;
use crate::flyte::idl::actions::{
    EnqueueRequest, EnqueueResponse, WatchForUpdatesRequest, WatchForUpdatesResponse,
};

/// The service, with the store of its actions.
#[derive(Clone)]
pub(super) struct ActionService(pub(super) Arc<ActionStore>);

impl NamedService for ActionService {
    const NAME: &'static str = "flyteidl2.actions.ActionsService";
}

impl tower_service::Service<http::Request<Body>> for ActionService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self(store) = self.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default();
            Ok(match method {
                "Enqueue" => {
                    Grpc::new(ProstCodec::default())
                        .unary(Enqueue(store), request)
                        .await
                }
                "WatchForUpdates" => {
                    Grpc::new(ProstCodec::default())
                        .server_streaming(Watch(store), request)
                        .await
                }
                other => Status::unimplemented(format!("a run on this machine has no `{other}`"))
                    .into_http(),
            })
        })
    }
}

struct Enqueue(Arc<ActionStore>);

impl UnaryService<EnqueueRequest> for Enqueue {
    type Response = EnqueueResponse;
    type Future = Ready<Result<Response<EnqueueResponse>, Status>>;

    fn call(&mut self, request: Request<EnqueueRequest>) -> Self::Future {
        let action = request.into_inner().action.unwrap_or_default();
        ready(
            self.0
                .enqueue(action)
                .map(|()| Response::new(EnqueueResponse {})),
        )
    }
}

struct Watch(Arc<ActionStore>);

/// The stream stays open until the worker ends: if it ended earlier, the worker's client would reconnect at once.
type Updates = Pin<Box<dyn Stream<Item = Result<WatchForUpdatesResponse, Status>> + Send>>;

impl ServerStreamingService<WatchForUpdatesRequest> for Watch {
    type Response = WatchForUpdatesResponse;
    type ResponseStream = Updates;
    type Future = Ready<Result<Response<Updates>, Status>>;

    fn call(&mut self, request: Request<WatchForUpdatesRequest>) -> Self::Future {
        let parent = request
            .into_inner()
            .filter
            .map(|Filter::ParentActionId(id)| id);
        ready(self.0.watch(parent).map(|receiver| {
            let updates = stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|update| (update, receiver))
            });
            Response::new(updates.map(Ok).boxed())
        }))
    }
}
