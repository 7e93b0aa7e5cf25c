"""The official server of the protocol, over TLS, with authentication and a stream.

It prints its address, then serves until its standard input ends. Certificate and key are its arguments.
"""

import io
import ssl
import sys
import threading
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.auth.identity_connect import IdentityServiceSync, IdentityServiceWSGIApplication
from flyteidl2.auth.identity_pb2 import UserInfoResponse
from flyteidl2.workflow.run_service_connect import RunServiceSync, RunServiceWSGIApplication
from flyteidl2.workflow.run_service_pb2 import WatchActionDetailsResponse


def check(ctx):
    if ctx.request_headers().get("authorization") != "Bearer the-token":
        raise ConnectError(Code.UNAUTHENTICATED, "no token, or none that is known")


class Identity(IdentityServiceSync):
    def user_info(self, request, ctx):
        check(ctx)
        return UserInfoResponse(subject="0oa1", name="Ada Lovelace", email="ada@example.test")


class Runs(RunServiceSync):
    def watch_action_details(self, request, ctx):
        check(ctx)
        for name in ("a0", "a1"):
            response = WatchActionDetailsResponse()
            response.details.id.name = name
            yield response
            time.sleep(0.02)
        raise ConnectError(Code.NOT_FOUND, "the run is gone")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


applications = [IdentityServiceWSGIApplication(Identity()), RunServiceWSGIApplication(Runs())]


def serve(environ, start_response):
    # The library reads a request to its end, which an open connection does not have.
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
    for application in applications:
        if environ["PATH_INFO"].startswith(application.path):
            return application(environ, start_response)
    start_response("404 Not Found", [])
    return []


server = make_server("127.0.0.1", 0, serve, Server, Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
