"""Runs that change phases by the clock, and end as configured, or as the real backend would end them."""

import datetime
import re
import time

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import ActionIdentifier
from flyteidl2.common.phase_pb2 import ActionPhase
from flyteidl2.core.types_pb2 import NONE
from flyteidl2.workflow.run_definition_pb2 import (
    ACTION_TYPE_TASK,
    ACTION_TYPE_TRACE,
    AbortInfo,
    Action,
    ActionAttempt,
    ActionDetails,
    ActionMetadata,
    ActionStatus,
    ClusterEvent,
    EnrichedAction,
    ErrorInfo,
    PhaseTransition,
    Run,
    RunDetails,
    TaskActionMetadata,
    TraceActionMetadata,
)
from flyteidl2.workflow.run_service_connect import RunServiceSync
from flyteidl2.workflow.run_service_pb2 import (
    AbortRunResponse,
    CreateRunRequest,
    CreateRunResponse,
    GetActionDataURIsResponse,
    GetActionDetailsResponse,
    GetRunDetailsResponse,
    ListActionsResponse,
    ListRunsResponse,
    WatchActionDetailsResponse,
    WatchActionsResponse,
)
from tasks import sorted_and_cut

# How long a phase lasts, in seconds.
STEP = 0.05
BEFORE = ["QUEUED", "WAITING_FOR_RESOURCES", "INITIALIZING"]
LAST = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}

# Names of runs that stay in a phase until the test releases them, with their cluster events.
IMAGE = "registry.test/team/hello@sha256:00"
WAITS = {
    "unpullable": (
        "INITIALIZING",
        [
            ("Scheduled", "Successfully assigned flyte/a to node"),
            ("Pulling", f'Pulling image "{IMAGE}"'),
            ("Failed", f'Failed to pull image "{IMAGE}": rpc error: code = NotFound desc = {IMAGE}: not found'),
            ("Failed", "Error: ErrImagePull"),
            ("BackOff", f'Back-off pulling image "{IMAGE}"'),
        ],
    ),
    "unschedulable": ("QUEUED", [("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.\x1b[2J")]),
    "unstarted": ("QUEUED", []),
    "slow": ("INITIALIZING", [("Pulling", "Pulling image of 9 GB")]),
}
SECRET = 'admission webhook "flyte-pod-webhook.flyte.org" denied the request: none of the secret managers injected secret [key:"token"]'
UNREAD = 'plugin "pod" failed with system error 4 times: failed to read data from s3://bucket/a0/1/outputs.pb: not found'


class One:
    """The current state of a run."""

    def __init__(self, name):
        content = state.read("runs", name)
        if content is None:
            raise ConnectError(Code.NOT_FOUND, f"run {name} not found")
        self.name = name
        self.request = CreateRunRequest.FromString(content)
        self.spec = spec_of(self.request)
        self.created = state.created("runs", name)
        self.aborted = state.read("aborted", name)

    def phase(self):
        if self.aborted is not None:
            return "ABORTED"
        step = int((time.time() - self.created) / STEP)
        # `missing-secret`: the webhook refuses the pod at once.
        if "missing-secret" in state.BEHAVIOUR:
            return "FAILED" if step else "QUEUED"
        # `old`: a failed container is restarted without end, as in backends before that became a user error.
        if "old" in state.BEHAVIOUR and step >= len(BEFORE):
            return ["QUEUED", "INITIALIZING"][step % 2]
        waiting = self.waiting()
        if waiting and step >= BEFORE.index(waiting[0]):
            return waiting[0]
        if step < len(BEFORE):
            return BEFORE[step]
        # `hold`: it runs until the test releases it.
        held = "hold" in state.BEHAVIOUR and not (state.DIRECTORY / "go").exists()
        if held or step < len(BEFORE) + 3:
            return "RUNNING"
        if "late" in state.BEHAVIOUR:
            return "TIMED_OUT"
        return "FAILED" if self.error() else "SUCCEEDED"

    @staticmethod
    def waiting():
        """The phase in which it stays, with the events of the cluster."""
        word = next((word for word in WAITS if word in state.BEHAVIOUR), None)
        return None if word is None or (state.DIRECTORY / "go").exists() else WAITS[word]

    def error(self):
        """The error of its program or the backend."""
        if "missing-secret" in state.BEHAVIOUR:
            return ErrorInfo(message=SECRET, kind=ErrorInfo.KIND_USER, code="BadTaskSpecification")
        if state.BEHAVIOUR & {"fail", "late"}:
            return ErrorInfo(message="boom\n  at line 3", kind=ErrorInfo.KIND_USER, code="ValueError")
        # `no-store`: a worker that cannot reach the object store leaves no outputs.
        if "no-store" in state.BEHAVIOUR or not self.leaves_outputs():
            return ErrorInfo(message=UNREAD, kind=ErrorInfo.KIND_SYSTEM, code="SYSTEM")
        return None

    def leaves_outputs(self):
        """Whether there is an outputs.pb: the backend reads it of every pod, and copilot's uploader writes it.

        The uploader is only there when the interface has outputs, and it can send simple types and files. An output
        without a type is written by nobody but the launcher.
        """
        template = self.spec.task_template
        if template.type != "raw-container":
            return True
        outputs = [entry.value.type for entry in template.interface.outputs.variables]
        sent = all(type.WhichOneof("type") in ("simple", "blob") for type in outputs)
        launched = "/union/launcher" in template.container.command[:1]
        return bool(outputs) and sent and (launched or not any(type.simple == NONE and type.HasField("simple") for type in outputs))

    def action(self):
        return ActionIdentifier(run=self.request.run_id, name="a0")

    def metadata(self):
        task = self.request.task_id
        return ActionMetadata(task=TaskActionMetadata(id=task, short_name=task.name), action_type=ACTION_TYPE_TASK)

    def status(self, phase):
        # `retried`: it is in its second attempt from the beginning.
        # `unstarted`: it stays in the queue, and has no attempt.
        waits = self.waiting() and "unstarted" not in state.BEHAVIOUR
        begun = phase not in BEFORE or "old" in state.BEHAVIOUR or waits
        attempts = 0 if not begun else 2 if "retried" in state.BEHAVIOUR else 1
        status = ActionStatus(phase=ActionPhase.Value(f"ACTION_PHASE_{phase}"), attempts=attempts)
        status.start_time.FromNanoseconds(int(self.created * 1e9))
        if phase in LAST:
            status.end_time.GetCurrentTime()
        return status

    def details(self, phase):
        status = self.status(phase)
        details = ActionDetails(id=self.action(), metadata=self.metadata(), status=status, task=self.spec)
        # Only workers have traces.
        if state.BEHAVIOUR & {"steps", "crowd"}:
            details.task.task_template.type = "rust-task"
        for attempt in range(1, status.attempts + 1):
            details.attempts.append(self.attempt(attempt, status))
        if phase in ("FAILED", "TIMED_OUT"):
            details.error_info.CopyFrom(self.error())
        if phase == "ABORTED":
            details.abort_info.CopyFrom(AbortInfo(reason=self.aborted.decode()))
        return details

    def attempt(self, number, status):
        is_latest = number == status.attempts
        phase = status.phase if is_latest else ActionPhase.ACTION_PHASE_FAILED
        attempt = ActionAttempt(attempt=number, phase=phase, start_time=status.start_time, logs_available=True)
        if status.HasField("end_time") or not is_latest:
            attempt.end_time.CopyFrom(status.end_time if is_latest else status.start_time)
        if not is_latest:
            attempt.error_info.CopyFrom(ErrorInfo(message="exit code 7", kind=ErrorInfo.KIND_USER, code="Exit"))
        for step, entered in enumerate([*BEFORE, "RUNNING"]):
            transition = PhaseTransition(phase=ActionPhase.Value(f"ACTION_PHASE_{entered}"))
            transition.start_time.FromNanoseconds(int((self.created + step * STEP) * 1e9))
            attempt.phase_transitions.append(transition)
        _, events = self.waiting() or (None, [("Started", "Started container a")])
        for second, (reason, message) in enumerate(events):
            event = ClusterEvent(reason=reason, message=message, count=1)
            event.occurred_at.FromSeconds(int(self.created) + second)
            attempt.cluster_events.append(event)
        return attempt

    def children(self):
        """`steps`: it has traced two functions, one in the other; `crowd`: a thousand."""
        number = 1000 if "crowd" in state.BEHAVIOUR else 2 if "steps" in state.BEHAVIOUR else 0
        for step in range(number):
            parent = "a0" if step == 0 or number > 2 else "step-0"
            action = Action(id=self.action())
            action.id.name = f"step-{step}"
            trace = TraceActionMetadata(name=f"function_{step}")
            action.metadata.CopyFrom(ActionMetadata(parent=parent, trace=trace, action_type=ACTION_TYPE_TRACE))
            failed = step == 1 and self.phase() == "FAILED"
            action.status.phase = ActionPhase.ACTION_PHASE_FAILED if failed else ActionPhase.ACTION_PHASE_SUCCEEDED
            action.status.start_time.FromNanoseconds(int(self.created * 1e9))
            action.status.end_time.FromNanoseconds(int(self.created * 1e9) + 1_500_000_000)
            yield action

    def root(self):
        return Action(id=self.action(), metadata=self.metadata(), status=self.status(self.phase()))


def spec_of(request):
    """The spec of its task, which the real backend keeps by its digest."""
    if request.HasField("task_spec"):
        return request.task_spec
    found = TASKS[0].find(request.task_id)
    return type(request.task_spec)() if found is None else found.spec


# The tasks of this backend, as soon as it has them.
TASKS = []


class Runs(RunServiceSync):
    """Runs as in the open-source backend: a request with an existing name returns that run."""

    def __init__(self, tasks):
        self.tasks = tasks
        TASKS.append(tasks)

    def create_run(self, request, ctx):
        name = request.run_id.name
        if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name):
            raise ConnectError(Code.INVALID_ARGUMENT, f"{name} is no label of DNS")
        if self.tasks.find(request.task_id) is None:
            raise ConnectError(Code.UNKNOWN, "task not found")
        new = state.write("runs", name, request.SerializeToString())
        # `cut-create`: the request is processed, and the response is lost.
        if state.once("cut-create"):
            state.cut()
        # `taken`: the error of hosted backends for an existing run.
        if not new and "taken" in state.BEHAVIOUR:
            raise ConnectError(Code.ALREADY_EXISTS, f"run {name} exists")
        return CreateRunResponse(run=self.listed(name))

    def get_action_details(self, request, ctx):
        one = One(request.action_id.run.name)
        if request.action_id.name != "a0":
            raise ConnectError(Code.NOT_FOUND, f"action not found: {request.action_id.name}")
        return GetActionDetailsResponse(details=one.details(one.phase()))

    def get_run_details(self, request, ctx):
        one = One(request.run_id.name)
        return GetRunDetailsResponse(details=RunDetails(run_spec=one.request.run_spec, action=one.details(one.phase())))

    def watch_action_details(self, request, ctx):
        name, told, phase = request.action_id.run.name, 0, None
        while phase not in LAST:
            one = One(name)
            now = one.phase()
            if now == phase:
                time.sleep(0.01)
                continue
            # Each phase has a message, though more than one may have passed on a busy machine.
            skips = now == "ABORTED" or state.BEHAVIOUR & {"old", "missing-secret"}
            if phase in BEFORE and not skips:
                now = [*BEFORE, now][BEFORE.index(phase) + 1]
            phase = now
            details = one.details(phase)
            # The real one sends no message when there are further events.
            for attempt in details.attempts:
                attempt.ClearField("cluster_events")
            yield WatchActionDetailsResponse(details=details)
            told += 1
            # `cut-watch`: the connection ends once during the run; `short-watch`: streams last one message.
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
        # `no-filters`: as a backend that supports none of the fields.
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

    def list_actions(self, request, ctx):
        one = One(request.run_id.name)
        if request.request.limit > 200:
            raise ConnectError(Code.INVALID_ARGUMENT, "limit is at most 200")
        if (request.request.sort_by.key, request.request.sort_by.direction) != ("created_at", 1):
            raise ConnectError(Code.INVALID_ARGUMENT, "the test wants the oldest first")
        actions, first = [one.root(), *one.children()], int(request.request.token or 0)
        end = first + request.request.limit
        return ListActionsResponse(actions=actions[first:end], token=str(end) if end < len(actions) else "")

    def watch_actions(self, request, ctx):
        one = One(request.run_id.name)
        actions = [one.root(), *one.children()]
        yield WatchActionsResponse(enriched_actions=[EnrichedAction(action=action) for action in actions])
        # It does not end with the run.
        while True:
            time.sleep(0.05)
            yield WatchActionsResponse(enriched_actions=[EnrichedAction(action=One(one.name).root())])

    @staticmethod
    def listed(name):
        one = One(name)
        return Run(action=Action(id=one.action(), metadata=one.metadata(), status=one.status(one.phase())))
