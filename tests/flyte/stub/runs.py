"""Runs that go from phase to phase by the clock, and end as they are told to."""

import datetime
import re
import time

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import ActionIdentifier
from flyteidl2.common.phase_pb2 import ActionPhase
from flyteidl2.workflow.run_definition_pb2 import (
    AbortInfo,
    Action,
    ActionAttempt,
    ActionDetails,
    ActionMetadata,
    ActionStatus,
    ErrorInfo,
    Run,
    RunDetails,
    TaskActionMetadata,
)
from flyteidl2.workflow.run_service_connect import RunServiceSync
from flyteidl2.workflow.run_service_pb2 import (
    AbortRunResponse,
    CreateRunRequest,
    CreateRunResponse,
    GetActionDataURIsResponse,
    GetActionDetailsResponse,
    GetRunDetailsResponse,
    ListRunsResponse,
    WatchActionDetailsResponse,
)
from tasks import sorted_and_cut

# How long a phase lasts, in seconds.
STEP = 0.05
BEFORE = ["QUEUED", "WAITING_FOR_RESOURCES", "INITIALIZING"]
LAST = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}


class One:
    """One run, as it is at this moment."""

    def __init__(self, name):
        content = state.read("runs", name)
        if content is None:
            raise ConnectError(Code.NOT_FOUND, f"run {name} not found")
        self.name = name
        self.request = CreateRunRequest.FromString(content)
        self.created = state.created("runs", name)
        self.aborted = state.read("aborted", name)

    def phase(self):
        if self.aborted is not None:
            return "ABORTED"
        step = int((time.time() - self.created) / STEP)
        if step < len(BEFORE):
            return BEFORE[step]
        # `hold`: it runs until the test lets it go.
        held = "hold" in state.BEHAVIOUR and not (state.FOLDER / "go").exists()
        if held or step < len(BEFORE) + 3:
            return "RUNNING"
        return "FAILED" if "fail" in state.BEHAVIOUR else "TIMED_OUT" if "late" in state.BEHAVIOUR else "SUCCEEDED"

    def action(self):
        return ActionIdentifier(run=self.request.run_id, name="a0")

    def metadata(self):
        task = self.request.task_id
        return ActionMetadata(task=TaskActionMetadata(id=task, short_name=task.name))

    def status(self, phase):
        # `retried`: it is in its second attempt from the beginning.
        attempts = 0 if phase in BEFORE else 2 if "retried" in state.BEHAVIOUR else 1
        status = ActionStatus(phase=ActionPhase.Value(f"ACTION_PHASE_{phase}"), attempts=attempts)
        status.start_time.FromNanoseconds(int(self.created * 1e9))
        if phase in LAST:
            status.end_time.GetCurrentTime()
        return status

    def details(self, phase):
        status = self.status(phase)
        details = ActionDetails(id=self.action(), metadata=self.metadata(), status=status)
        for attempt in range(1, status.attempts + 1):
            details.attempts.append(ActionAttempt(attempt=attempt, phase=status.phase, logs_available=True))
        if phase in ("FAILED", "TIMED_OUT"):
            details.error_info.CopyFrom(ErrorInfo(message="boom\n  at line 3", kind=ErrorInfo.KIND_USER, code="ValueError"))
        if phase == "ABORTED":
            details.abort_info.CopyFrom(AbortInfo(reason=self.aborted.decode()))
        return details


class Runs(RunServiceSync):
    """Runs as the open-source backend keeps them: a name that is taken is that run."""

    def __init__(self, tasks):
        self.tasks = tasks

    def create_run(self, request, ctx):
        name = request.run_id.name
        if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name):
            raise ConnectError(Code.INVALID_ARGUMENT, f"{name} is no label of DNS")
        if self.tasks.find(request.task_id) is None:
            raise ConnectError(Code.UNKNOWN, "task not found")
        new = state.write("runs", name, request.SerializeToString())
        # `cut-create`: it is done, and nobody hears of it.
        if state.once("cut-create"):
            state.cut()
        # `taken`: as hosted backends say that there is such a run.
        if not new and "taken" in state.BEHAVIOUR:
            raise ConnectError(Code.ALREADY_EXISTS, f"run {name} exists")
        return CreateRunResponse(run=self.listed(name))

    def get_action_details(self, request, ctx):
        one = One(request.action_id.run.name)
        return GetActionDetailsResponse(details=one.details(one.phase()))

    def get_run_details(self, request, ctx):
        one = One(request.run_id.name)
        return GetRunDetailsResponse(details=RunDetails(run_spec=one.request.run_spec, action=one.details(one.phase())))

    def watch_action_details(self, request, ctx):
        name, told, phase = request.action_id.run.name, 0, None
        while phase not in LAST:
            one = One(name)
            if one.phase() == phase:
                time.sleep(0.01)
                continue
            phase = one.phase()
            yield WatchActionDetailsResponse(details=one.details(phase))
            told += 1
            # `cut-watch`: the connection ends in the middle of it all, once; `short-watch`: streams last one message.
            if told == 2 and state.once("cut-watch"):
                state.cut()
            if "short-watch" in state.BEHAVIOUR:
                return

    def abort_run(self, request, ctx):
        One(request.run_id.name)
        state.write("aborted", request.run_id.name, request.reason.encode())
        return AbortRunResponse()

    def list_runs(self, request, ctx):
        listed = [self.listed(name) for name in state.names("runs")]
        kept = [run for run in listed if all(self.matches(run, filter) for filter in request.request.filters)]
        page, token = sorted_and_cut(kept, request.request)
        return ListRunsResponse(runs=page, token=token)

    @staticmethod
    def matches(run, filter):
        # `no-filters`: as a backend that knows none of the fields.
        if "no-filters" in state.BEHAVIOUR:
            raise ConnectError(Code.INVALID_ARGUMENT, f"invalid filter field: {filter.field}")
        action, (value,) = run.action, filter.values
        if filter.field == "created_at":
            least = datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
            return action.status.start_time.ToNanoseconds() / 1e9 >= least
        known = {"phase": str(action.status.phase), "task_name": action.metadata.task.id.name}
        return known[filter.field] == value

    def get_action_data_u_r_is(self, request, ctx):
        one = One(request.action_id.run.name)
        return GetActionDataURIsResponse(inputs_uri=one.request.offloaded_input_data.uri)

    @staticmethod
    def listed(name):
        one = One(name)
        return Run(action=Action(id=one.action(), metadata=one.metadata(), status=one.status(one.phase())))
