"""A backend on loopback whose messages others have generated, with the rules of the hosted service on.

It prints its address, then serves until its standard input ends. Behaviour that is asked for in the
environment stands in the options below; everything else is as the open-source backend does it.
"""

import io
import json
import os
import sys
import threading
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import protovalidate
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.auth.identity_connect import IdentityServiceSync, IdentityServiceWSGIApplication
from flyteidl2.common.identity_pb2 import EnrichedIdentity, User
from flyteidl2.project.project_service_connect import ProjectServiceSync, ProjectServiceWSGIApplication
from flyteidl2.project.project_service_pb2 import Domain, GetProjectResponse, ListProjectsResponse, Project, Projects
from flyteidl2.task.task_definition_pb2 import Task, TaskDetails, TaskMetadata, TaskTriggersSummary
from flyteidl2.task.task_service_connect import TaskServiceSync, TaskServiceWSGIApplication
from flyteidl2.task.task_service_pb2 import (
    DeployTaskResponse,
    GetTaskDetailsResponse,
    ListTasksResponse,
    ListVersionsResponse,
)
from flyteidl2.workflow.run_service_connect import RunServiceSync, RunServiceWSGIApplication

# `name=message`: a task that is refused with a message.
REFUSED = dict(entry.split("=", 1) for entry in os.environ.get("REFUSED", "").split(";") if entry)
# Where every call is written down, one JSON object on a line.
LOG = os.environ["LOG"]

PROJECTS = [
    Project(id=name, name=name, domains=[Domain(id=domain, name=domain) for domain in ("development", "production")])
    for name in ("flytesnacks", "another")
]


class Recorded:
    """Writes calls down, and holds requests against the rules of their messages."""

    def __init__(self):
        self.lock = threading.Lock()

    def intercept_unary_sync(self, call_next, request, ctx):
        line = {"method": ctx.method().name, "request": type(request).__name__}
        try:
            protovalidate.validate(request)
        except protovalidate.ValidationError as error:
            line["invalid"] = str(error)
            self.write(line)
            raise ConnectError(Code.INVALID_ARGUMENT, str(error)) from error
        self.write(line)
        return call_next(request, ctx)

    def write(self, line):
        with self.lock, open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


class Tasks(TaskServiceSync):
    """Tasks as the open-source backend keeps them: what is deployed twice is overwritten."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = {}
        self.created = {}

    def deploy_task(self, request, ctx):
        name, project = request.task_id.name, request.task_id.project
        if name in REFUSED:
            raise ConnectError(Code.FAILED_PRECONDITION, REFUSED[name])
        if project not in {known.id for known in PROJECTS}:
            raise ConnectError(Code.NOT_FOUND, f'project "{project}" not found')
        key = self.key(request.task_id)
        with self.lock:
            self.requests[key] = request
            self.created.setdefault(key, time.time_ns())
        return DeployTaskResponse()

    def get_task_details(self, request, ctx):
        with self.lock:
            found = self.requests.get(self.key(request.task_id))
        if found is None:
            raise ConnectError(Code.NOT_FOUND, "task not found")
        details = TaskDetails(task_id=found.task_id, spec=found.spec, metadata=self.metadata(found))
        return GetTaskDetailsResponse(details=details)

    def list_tasks(self, request, ctx):
        scope = request.project_id
        wanted = [value for filter in request.request.filters if filter.field == "name" for value in filter.values]
        latest = {}
        with self.lock:
            for key in sorted(self.requests, key=self.created.get):
                project, domain, name, _ = key
                if (project, domain) == (scope.name, scope.domain) and (not wanted or name in wanted):
                    latest[name] = self.requests[key]
        tasks = [Task(task_id=found.task_id, metadata=self.metadata(found)) for found in latest.values()]
        return ListTasksResponse(tasks=tasks[: request.request.limit or 50])

    def list_versions(self, request, ctx):
        name = request.task_name
        with self.lock:
            keys = [key for key in self.requests if key[:3] == (name.project, name.domain, name.name)]
            keys.sort(key=self.created.get, reverse=True)
            versions = []
            for key in keys:
                version = ListVersionsResponse.VersionResponse(version=key[3], deployed_by=someone())
                version.deployed_at.FromNanoseconds(self.created[key])
                versions.append(version)
        return ListVersionsResponse(versions=versions)

    @staticmethod
    def key(task_id):
        return (task_id.project, task_id.domain, task_id.name, task_id.version)

    def metadata(self, request):
        summary = TaskTriggersSummary(stats=TaskTriggersSummary.TriggerStats(total=len(request.triggers)))
        metadata = TaskMetadata(
            short_name=request.spec.short_name,
            environment_name=request.spec.environment.name,
            short_description=request.spec.documentation.short_description,
            deployed_by=someone(),
            triggers_summary=summary if request.triggers else None,
        )
        metadata.deployed_at.FromNanoseconds(self.created[self.key(request.task_id)])
        return metadata


def someone():
    return EnrichedIdentity(user=User())


class Known(ProjectServiceSync):
    """Projects that nobody can change."""

    def get_project(self, request, ctx):
        for project in PROJECTS:
            if project.id == request.id:
                return GetProjectResponse(project=project)
        raise ConnectError(Code.NOT_FOUND, f'project "{request.id}" not found')

    def list_projects(self, request, ctx):
        return ListProjectsResponse(projects=Projects(projects=PROJECTS))


class Runs(RunServiceSync):
    """Nothing runs here."""


class Users(IdentityServiceSync):
    """Nobody is known here."""


class Handler(WSGIRequestHandler):
    """Says nothing."""

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    daemon_threads = True
    # Few may wait otherwise, and those that may not try again a second later.
    request_queue_size = 128


def main():
    recorded = [Recorded()]
    applications = {
        "TaskService": TaskServiceWSGIApplication(Tasks(), interceptors=recorded),
        "ProjectService": ProjectServiceWSGIApplication(Known(), interceptors=recorded),
        "RunService": RunServiceWSGIApplication(Runs(), interceptors=recorded),
        "IdentityService": IdentityServiceWSGIApplication(Users(), interceptors=recorded),
    }

    def application(environ, start_response):
        service = environ["PATH_INFO"].strip("/").split("/")[0].rsplit(".", 1)[-1]
        chosen = applications.get(service)
        if chosen is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such service"]
        # The server gives the connection itself as the body, which never ends.
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return chosen(environ, start_response)

    server = make_server("127.0.0.1", int(os.environ.get("PORT", "0")), application, Server, Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


main()
