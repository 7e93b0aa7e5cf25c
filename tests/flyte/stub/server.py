"""A backend on loopback with the official messages, and with the validation rules of the hosted service.

It prints its address, then serves until its standard input ends. Unless the environment asks for something
else, it behaves as the open-source backend does.
"""

import io
import json
import os
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import images
import protovalidate
import state
import waves
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from data import Clusters
from flyteidl2.auth.identity_connect import IdentityServiceSync, IdentityServiceWSGIApplication
from flyteidl2.cluster.service_connect import ClusterServiceWSGIApplication
from flyteidl2.dataproxy.dataproxy_service_connect import DataProxyServiceWSGIApplication
from flyteidl2.project.project_service_connect import ProjectServiceSync, ProjectServiceWSGIApplication
from flyteidl2.project.project_service_pb2 import GetProjectResponse, ListProjectsResponse, Projects
from flyteidl2.secret.secret_connect import SecretServiceWSGIApplication
from flyteidl2.task.task_service_connect import TaskServiceWSGIApplication
from flyteidl2.trigger.trigger_service_connect import TriggerServiceWSGIApplication
from flyteidl2.workflow.run_service_connect import RunServiceWSGIApplication
from secret_service import Secrets
from tasks import PROJECTS, Tasks

# The log of calls, one JSON object per line.
LOG = os.environ["LOG"]


class Recorded:
    """Records calls, and validates requests by the rules of their messages."""

    def __init__(self):
        self.lock = threading.Lock()

    def intercept_unary_sync(self, call_next, request, ctx):
        self.record(request, ctx)
        waves.hold()
        return call_next(request, ctx)

    def intercept_server_stream_sync(self, call_next, request, ctx):
        self.record(request, ctx)
        yield from call_next(request, ctx)

    def record(self, request, ctx):
        line = {"method": ctx.method().name, "request": type(request).__name__}
        try:
            protovalidate.validate(request)
        except protovalidate.ValidationError as error:
            line["invalid"] = str(error)
            self.write(line)
            raise ConnectError(Code.INVALID_ARGUMENT, str(error)) from error
        self.write(line)

    def write(self, line):
        with self.lock, open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


class Known(ProjectServiceSync):
    """Read-only projects."""

    def get_project(self, request, ctx):
        for project in PROJECTS:
            if project.id == request.id:
                return GetProjectResponse(project=project)
        raise ConnectError(Code.NOT_FOUND, f'project "{request.id}" not found')

    def list_projects(self, request, ctx):
        return ListProjectsResponse(projects=Projects(projects=PROJECTS))


class Users(IdentityServiceSync):
    """No identity, as in the open-source backend without authentication."""

    def user_info(self, request, ctx):
        raise ConnectError(Code.UNAUTHENTICATED, "no identity")


class Handler(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_):
        pass

    def get_environ(self):
        return {**super().get_environ(), "connection": self.connection}


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    daemon_threads = True
    # The default backlog is small, and refused connections are retried after a second.
    request_queue_size = 128


def main():
    recorded, tasks = [Recorded()], Tasks()
    applications = {
        "TaskService": TaskServiceWSGIApplication(tasks, interceptors=recorded),
        "ProjectService": ProjectServiceWSGIApplication(Known(), interceptors=recorded),
        "RunService": RunServiceWSGIApplication(images.Builds(tasks), interceptors=recorded),
        "DataProxyService": DataProxyServiceWSGIApplication(images.BuildData(tasks), interceptors=recorded),
        "ClusterService": ClusterServiceWSGIApplication(Clusters(), interceptors=recorded),
        "IdentityService": IdentityServiceWSGIApplication(Users(), interceptors=recorded),
        "SecretService": SecretServiceWSGIApplication(Secrets(), interceptors=recorded),
        "TriggerService": TriggerServiceWSGIApplication(tasks.triggers, interceptors=recorded),
    }
    # `no-triggers`: as a backend without the service.
    if "no-triggers" in state.BEHAVIOUR:
        del applications["TriggerService"]

    # `builder`: it builds images, as hosted backends do.
    if "builder" in state.BEHAVIOUR:
        images.install(applications, tasks, recorded)

    def application(environ, start_response):
        service = environ["PATH_INFO"].strip("/").split("/")[0].rsplit(".", 1)[-1]
        chosen = applications.get(service)
        if chosen is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such service"]
        state.CONNECTION.socket = environ["connection"]
        # The server gives the connection itself as the body, which never ends.
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return chosen(environ, start_response)

    server = make_server("127.0.0.1", int(os.environ.get("PORT", "0")), application, Server, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


main()
