"""Tasks as in the open-source backend: a second deployment overwrites the first."""

import os
import threading
import time

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common.identity_pb2 import EnrichedIdentity, User
from flyteidl2.common.list_pb2 import Sort
from flyteidl2.project.project_service_pb2 import Domain, Project
from flyteidl2.task.task_definition_pb2 import Task, TaskDetails, TaskMetadata, TaskTriggersSummary
from flyteidl2.task.task_service_connect import TaskServiceSync
from flyteidl2.task.task_service_pb2 import (
    DeployTaskRequest,
    DeployTaskResponse,
    GetTaskDetailsResponse,
    ListTasksResponse,
    ListVersionsResponse,
)
from trigger_service import Triggers

# `name=message`: a task that is refused with a message.
REFUSED = dict(entry.split("=", 1) for entry in os.environ.get("REFUSED", "").split(";") if entry)

PROJECTS = [
    Project(id=name, name=name, domains=[Domain(id=domain, name=domain) for domain in ("development", "production")])
    for name in ("flytesnacks", "another")
]


class Tasks(TaskServiceSync):
    """Tasks as in the open-source backend: a second deployment overwrites the first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = {}
        self.created = {}
        self.triggers = Triggers()
        for number in state.names("tasks"):
            self.keep(DeployTaskRequest.FromString(state.read("tasks", number)), int(number))

    def keep(self, request, number):
        key = self.key(request.task_id)
        self.requests[key] = request
        self.triggers.register(request.task_id, request.triggers)
        self.created.setdefault(key, number)

    def find(self, task_id):
        with self.lock:
            return self.requests.get(self.key(task_id))

    def deploy_task(self, request, ctx):
        name, project = request.task_id.name, request.task_id.project
        if name in REFUSED:
            raise ConnectError(Code.FAILED_PRECONDITION, REFUSED[name])
        if project not in {known.id for known in PROJECTS}:
            raise ConnectError(Code.NOT_FOUND, f'project "{project}" not found')
        with self.lock:
            number = time.time_ns()
            state.write("tasks", str(number), request.SerializeToString())
            self.keep(request, number)
        return DeployTaskResponse()

    def get_task_details(self, request, ctx):
        found = self.find(request.task_id)
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
        oldest = sorted(latest.values(), key=lambda found: self.created[self.key(found.task_id)])
        tasks = [Task(task_id=found.task_id, metadata=self.metadata(found)) for found in oldest]
        return ListTasksResponse(tasks=sorted_and_cut(tasks, request.request)[0])

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
        page, token = sorted_and_cut(versions[::-1], request.request)
        return ListVersionsResponse(versions=page, token=token)

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


def sorted_and_cut(oldest, request):
    """A page of a list that a request selects, from one with the oldest first, and the token of the next page."""
    if request.sort_by.key != "created_at":
        raise ConnectError(Code.INVALID_ARGUMENT, f"cannot sort by {request.sort_by.key}")
    limit = request.limit or 50
    if limit > 200:
        raise ConnectError(Code.INVALID_ARGUMENT, "the limit is above 200")
    # `small-pages`: two entries on a page, for any requested size.
    if "small-pages" in state.BEHAVIOUR:
        limit = 2
    listed = oldest if request.sort_by.direction == Sort.ASCENDING else oldest[::-1]
    first = int(request.token or 0)
    page = listed[first : first + limit]
    return page, str(first + limit) if len(page) == limit else ""


def someone():
    return EnrichedIdentity(user=User())
