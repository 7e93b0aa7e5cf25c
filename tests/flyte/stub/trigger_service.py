"""Triggers as in the open-source backend: those of earlier versions of a task stay."""

import threading

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import TriggerIdentifier, TriggerName
from flyteidl2.trigger.trigger_definition_pb2 import Trigger, TriggerDetails, TriggerSpec
from flyteidl2.trigger.trigger_service_connect import TriggerServiceSync
from flyteidl2.trigger.trigger_service_pb2 import (
    DeployTriggerResponse,
    GetTriggerDetailsResponse,
    ListTriggersResponse,
    UpdateTriggersResponse,
)


class Triggers(TriggerServiceSync):
    """Triggers by project, domain, task and name."""

    def __init__(self):
        self.lock = threading.Lock()
        self.details = {}

    def register(self, task_id, triggers):
        """The effect of a registration of a task: it overwrites its triggers, and no others."""
        for trigger in triggers:
            name = TriggerName(
                project=task_id.project, domain=task_id.domain, task_name=task_id.name, name=trigger.name
            )
            spec = TriggerSpec(
                active=trigger.spec.active,
                run_spec=trigger.spec.run_spec,
                task_version=task_id.version,
                inputs=trigger.spec.inputs,
            )
            self.save(name, spec, trigger.automation_spec)

    def save(self, name, spec, automation):
        with self.lock:
            before = self.details.get(self.key(name))
            revision = before.id.revision + 1 if before else 1
            details = TriggerDetails(
                id=TriggerIdentifier(name=name, revision=revision), spec=spec, automation_spec=automation
            )
            self.details[self.key(name)] = details
            return details

    def deploy_trigger(self, request, ctx):
        name = TriggerName()
        name.CopyFrom(request.name)
        name.org = ""
        return DeployTriggerResponse(trigger=self.save(name, request.spec, request.automation_spec))

    def get_trigger_details(self, request, ctx):
        found = self.details.get(self.key(request.name))
        if found is None:
            raise ConnectError(Code.INTERNAL, "trigger not found")
        return GetTriggerDetailsResponse(trigger=found)

    def list_triggers(self, request, ctx):
        limit = request.request.limit or 50
        if limit > 200:
            raise ConnectError(Code.INVALID_ARGUMENT, "the limit is above 200")
        if request.HasField("project_id"):
            scope = (request.project_id.name, request.project_id.domain)
        else:
            scope = (request.task_name.project, request.task_name.domain, request.task_name.name)
        found = [details for key, details in sorted(self.details.items()) if key[: len(scope)] == scope]
        first = int(request.request.token or 0)
        page = found[first : first + limit]
        token = str(first + limit) if len(page) == limit else ""
        return ListTriggersResponse(triggers=[self.listed(details) for details in page], token=token)

    def update_triggers(self, request, ctx):
        with self.lock:
            for name in request.names:
                found = self.details.get(self.key(name))
                if found is not None:
                    found.spec.active = request.active
        return UpdateTriggersResponse()

    @staticmethod
    def listed(details):
        return Trigger(id=details.id, active=details.spec.active, automation_spec=details.automation_spec)

    @staticmethod
    def key(name):
        return (name.project, name.domain, name.task_name, name.name)
