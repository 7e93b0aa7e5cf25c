"""A control plane of Flyte 1 on loopback with the official messages, which behaves as a real one was observed to.

It prints its address, then serves until its standard input ends. Its state is in a file, so that it is all there when it is
started again. `BEHAVIOUR` is a list of words, each explained where it is asked for.
"""

import base64
import hashlib
import json
import os
import re
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from flyteidl.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    node_execution_pb2,
    project_pb2,
    task_execution_pb2,
    task_pb2,
    version_pb2,
    workflow_pb2,
)
from flyteidl.core import execution_pb2 as core_execution
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2
from flyteidl.service import auth_pb2, dataproxy_pb2, identity_pb2
from google.protobuf import json_format
from google.rpc import status_pb2

STATE = Path(os.environ["STATE"])
LOG = os.environ["LOG"]
# The directory of a certificate and its key; empty without encryption.
TLS = os.environ.get("TLS", "")
BEHAVIOUR = set(os.environ.get("BEHAVIOUR", "").split(","))
BINARY, JSON = "application/octet-stream", "application/json"
# The numbers of gRPC's codes, and the HTTP status that the gateway gives them.
INVALID, NOT_FOUND, EXISTS, DENIED, UNIMPLEMENTED, UNAVAILABLE, EXHAUSTED, LOGIN = 3, 5, 6, 7, 12, 14, 8, 16
HTTP = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 12: 501, 14: 503, 16: 401}
PROJECTS = ["flytesnacks", "another"]
# How long a phase of a run lasts, in seconds.
STEP = 0.1
TOKEN = "token-of-robot"


class Refused(Exception):
    """An error with a code of gRPC."""

    def __init__(self, code, message, retry_after=None):
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after


class Store:
    """The stored messages by kind and key, serialized, with their time of creation."""

    def __init__(self):
        self.lock = threading.RLock()
        self.kept = json.loads(STATE.read_text()) if STATE.exists() else {}

    def put(self, kind, key, message, created=None):
        with self.lock:
            content = base64.b64encode(message.SerializeToString(deterministic=True)).decode()
            self.kept.setdefault(kind, {})[key] = [created or time.time_ns(), content]
            self.save()

    def save(self):
        draft = STATE.with_suffix(".draft")
        draft.write_text(json.dumps(self.kept))
        draft.rename(STATE)

    def get(self, kind, key, message):
        with self.lock:
            entry = self.kept.get(kind, {}).get(key)
        return message.FromString(base64.b64decode(entry[1])) if entry else None

    def created(self, kind, key):
        with self.lock:
            return self.kept[kind][key][0]

    def keys(self, kind, start=""):
        """The newest first."""
        with self.lock:
            entries = self.kept.get(kind, {})
            return [key for key in sorted(entries, key=lambda key: -entries[key][0]) if key.startswith(start)]

    def mark(self, kind, key, value):
        with self.lock:
            self.kept.setdefault(kind, {})[key] = [time.time_ns(), value]
            self.save()

    def marked(self, kind, key):
        with self.lock:
            return self.kept.get(kind, {}).get(key, [0, None])[1]

    def once(self, word):
        """Whether this behaviour is on and was not used yet."""
        with self.lock:
            if word not in BEHAVIOUR or self.marked("done", word):
                return False
            self.mark("done", word, "yes")
            return True


STORE = Store()


def setting(name):
    """The value of the behaviour `name=value`; None without it."""
    return next((word.split("=", 1)[1] for word in BEHAVIOUR if word.startswith(f"{name}=")), None)


def key(id):
    return f"{id.project}/{id.domain}/{id.name}/{id.version}"


def required(message, path):
    """Refuses a message without a field that a control plane requires."""
    for name in path.split("."):
        if name in message.DESCRIPTOR.fields_by_name and message.DESCRIPTOR.fields_by_name[name].message_type:
            if not message.HasField(name):
                raise Refused(INVALID, f"missing {path}")
        elif not getattr(message, name):
            raise Refused(INVALID, f"missing {path}")
        message = getattr(message, name)


def create(kind, what, request):
    """Stores a message once: an equal one exists, another one under its version is refused with the difference."""
    if request.id.project not in PROJECTS:
        raise Refused(NOT_FOUND, f"failed to validate that project [{request.id.project}] and domain [{request.id.domain}] are registered")
    old = STORE.get(kind, key(request.id), type(request))
    if old is None:
        STORE.put(kind, key(request.id), request)
        return
    if old.SerializeToString(deterministic=True) == request.SerializeToString(deterministic=True):
        raise Refused(EXISTS, f"{what} with identical structure already exists")
    lines = difference(json_format.MessageToDict(old), json_format.MessageToDict(request))
    raise Refused(
        INVALID,
        f"{what} with different structure already exists. (Please register a new version of the {what}):\n" + "\n".join(lines),
    )


def difference(old, new, path=""):
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from difference(old.get(name), new.get(name), f"{path}/{name}")
    elif old != new:
        yield f"{path}:\n- {json.dumps(old)}\n+ {json.dumps(new)}"


def create_task(request):
    template = request.spec.template
    for path in ("id.name", "type", "metadata.runtime.version", "interface", "container.image"):
        required(template, path)
    if template.id != request.id:
        raise Refused(INVALID, "the identifiers differ")
    # `refuse=NAME`: a task of this name is refused; `limit`: more than 2 processors are refused.
    if f"refuse={request.id.name}" in BEHAVIOUR:
        raise Refused(DENIED, "this task is not wanted")
    for entry in template.container.resources.requests:
        if "limit" in BEHAVIOUR and entry.name == 1 and int(entry.value) > 2:
            raise Refused(
                INVALID,
                f"Requested CPU default [{entry.value}] is greater than current limit set in the platform configuration [2]. "
                "Please contact Flyte Admins to change these limits or consult the configuration",
            )
    create("tasks", "task", request)
    return task_pb2.TaskCreateResponse()


def task_of(name):
    request = STORE.get("tasks", name, task_pb2.TaskCreateRequest)
    if request is None:
        raise Refused(NOT_FOUND, f"entry not found: {name}")
    task = task_pb2.Task(id=request.id)
    task.closure.compiled_task.template.CopyFrom(request.spec.template)
    task.closure.created_at.FromNanoseconds(STORE.created("tasks", name))
    return task


def page(names, query, load, message, field):
    limit = int(query.get("limit", ["0"])[0])
    if not limit:
        raise Refused(INVALID, "invalid value for limit")
    start = int(query.get("token", [""])[0] or 0)
    cut = names[start : start + limit]
    token = str(start + limit) if start + limit < len(names) else ""
    answer = message(token=token)
    getattr(answer, field).extend(load(name) for name in cut)
    return answer


def list_tasks(query, *scope):
    if query.get("sort_by.direction") != ["DESCENDING"]:
        raise Refused(INVALID, "the tests want the newest first")
    return page(STORE.keys("tasks", "/".join(scope) + "/"), query, task_of, task_pb2.TaskList, "tasks")


def create_launch_plan(request):
    spec = request.spec
    workflow = STORE.get("workflows", key(spec.workflow_id), workflow_pb2.WorkflowCreateRequest)
    if workflow is None:
        raise Refused(NOT_FOUND, "there is no such workflow")
    schedule = spec.entity_metadata.schedule
    for name, variable in workflow.spec.template.interface.inputs.variables.items():
        if name == schedule.kickoff_time_input_arg and name not in spec.fixed_inputs.literals:
            if variable.type.simple != types_pb2.DATETIME:
                raise Refused(INVALID, f"{name} is no datetime")
        elif name not in spec.fixed_inputs.literals:
            raise Refused(INVALID, f"Cannot create a launch plan with a schedule if there is an unbound required input. [{name}] is required")
    create("plans", "launch plan", request)
    return launch_plan_pb2.LaunchPlanCreateResponse()


def create_workflow(request):
    for node in request.spec.template.nodes:
        if STORE.get("tasks", key(node.task_node.reference_id), task_pb2.TaskCreateRequest) is None:
            raise Refused(INVALID, "the workflow has a task that does not exist")
    create("workflows", "workflow", request)
    return workflow_pb2.WorkflowCreateResponse()


def plan_of(name):
    request = STORE.get("plans", name, launch_plan_pb2.LaunchPlanCreateRequest)
    if request is None:
        raise Refused(NOT_FOUND, f"entry not found: {name}")
    plan = launch_plan_pb2.LaunchPlan(id=request.id, spec=request.spec)
    plan.closure.state = int(STORE.marked("active", name) == "yes")
    created = STORE.created("plans", name)
    plan.closure.created_at.FromNanoseconds(created)
    # Each change of the state is a second later.
    changed = STORE.marked("active", name) is not None
    plan.closure.updated_at.FromNanoseconds(created + int(changed) * 1_000_000_000)
    return plan


def update_plan(request, *name):
    name = "/".join(name)
    plan_of(name)
    # The first activation fails.
    if STORE.once("deny-activation"):
        raise Refused(DENIED, "activation is not allowed")
    if request.state == launch_plan_pb2.ACTIVE:
        for other in STORE.keys("plans", name.rsplit("/", 1)[0] + "/"):
            if STORE.marked("active", other) == "yes":
                STORE.mark("active", other, "no")
    STORE.mark("active", name, "yes" if request.state == launch_plan_pb2.ACTIVE else "no")
    return launch_plan_pb2.LaunchPlanUpdateResponse()


def list_plans(query, *scope):
    return page(STORE.keys("plans", "/".join(scope) + "/"), query, plan_of, launch_plan_pb2.LaunchPlanList, "launch_plans")


def active_plans(query, *scope):
    names = [name for name in STORE.keys("plans", "/".join(scope) + "/") if STORE.marked("active", name) == "yes"]
    return page(names, query, plan_of, launch_plan_pb2.LaunchPlanList, "launch_plans")


def create_execution(request):
    name = f"{request.project}/{request.domain}/{request.name}"
    if not re.fullmatch("[a-z][a-z0-9-]{0,62}", request.name):
        raise Refused(INVALID, f"{request.name} does not match the expected format")
    task = task_of(key(request.spec.launch_plan))
    for variable in task.closure.compiled_task.template.interface.inputs.variables:
        if variable not in request.inputs.literals:
            raise Refused(INVALID, f"{variable} is missing")
    for given in request.inputs.literals:
        if given not in task.closure.compiled_task.template.interface.inputs.variables:
            raise Refused(INVALID, f"invalid input {given}")
    if STORE.get("executions", name, execution_pb2.ExecutionCreateRequest):
        raise Refused(EXISTS, "execution already exists")
    STORE.put("executions", name, request)
    # `cut-create`: the request is processed, and the response is lost.
    if STORE.once("cut-create"):
        raise ConnectionAbortedError
    return execution_pb2.ExecutionCreateResponse(id=execution_id(request))


def execution_id(request):
    return identifier_pb2.WorkflowExecutionIdentifier(project=request.project, domain=request.domain, name=request.name)


class Run:
    """The current state of an execution."""

    def __init__(self, *name):
        self.name = "/".join(name)
        self.request = STORE.get("executions", self.name, execution_pb2.ExecutionCreateRequest)
        if self.request is None:
            raise Refused(NOT_FOUND, f"entry not found: {self.name}")
        self.created = STORE.created("executions", self.name)
        self.aborted = STORE.marked("aborted", self.name)

    def steps(self):
        return int((time.time() - self.created / 1e9) / STEP)

    def phases(self):
        """The phase of the execution and those of the attempts of its task."""
        step = self.steps()
        if self.aborted is not None:
            return "ABORTED", ["ABORTED"]
        if step < 1:
            return "QUEUED", []
        # `fail`: three attempts that fail; `missing`: the outputs are not found.
        attempts = 3 if {"fail", "missing"} & BEHAVIOUR else 1
        rest = ["QUEUED", "INITIALIZING", "RUNNING", "RUNNING"]
        number, inside = divmod(step - 1, len(rest))
        # `hold`: it runs until the test releases it.
        if "hold" in BEHAVIOUR and not (STATE.parent / "go").exists() and step >= 3:
            number, inside = 0, 2
        if number < attempts:
            return "RUNNING", ["RETRYABLE_FAILED"] * number + [rest[inside]]
        if {"fail", "missing"} & BEHAVIOUR:
            return "FAILED", ["RETRYABLE_FAILED"] * (attempts - 1) + ["FAILED"]
        if step == 1 + len(rest):
            return "SUCCEEDING", ["SUCCEEDED"]
        return "SUCCEEDED", ["SUCCEEDED"]

    def error(self):
        if "missing" in BEHAVIOUR:
            return core_execution.ExecutionError(
                code="RetriesExhausted|OutputsNotFound", message="Outputs not generated by task execution", kind="SYSTEM"
            )
        return core_execution.ExecutionError(
            code="RetriesExhausted|Interrupted",
            message="[3/3] currentAttempt done. Last Error: SYSTEM::Pod failed. No message received from kubernetes.\n"
            "[main] terminated with exit code (3). Reason [Error]. Message: \nboom.",
            kind="SYSTEM",
        )

    def execution(self):
        phase, _ = self.phases()
        execution = execution_pb2.Execution(id=execution_id(self.request), spec=self.request.spec)
        execution.spec.launch_plan.resource_type = identifier_pb2.LAUNCH_PLAN
        execution.spec.launch_plan.name = f".flytegen.{self.request.spec.launch_plan.name}"
        closure = execution.closure
        closure.phase = core_execution.WorkflowExecution.Phase.Value(phase)
        closure.created_at.FromNanoseconds(self.created)
        closure.started_at.FromNanoseconds(self.created)
        closure.duration.FromSeconds(2)
        if phase == "FAILED":
            closure.error.CopyFrom(self.error())
        if phase == "ABORTED":
            closure.abort_metadata.cause = self.aborted
        return execution

    def nodes(self):
        _, attempts = self.phases()
        answer = node_execution_pb2.NodeExecutionList()
        for name in ["start-node", "n0"] if attempts else []:
            id = identifier_pb2.NodeExecutionIdentifier(node_id=name, execution_id=execution_id(self.request))
            node = answer.node_executions.add(id=id)
            # `cached`: the result of an earlier run.
            node.closure.task_node_metadata.cache_status = 2 if "cached" in BEHAVIOUR and name == "n0" else 0
        return answer

    def attempts(self):
        _, attempts = self.phases()
        answer = task_execution_pb2.TaskExecutionList()
        for number, phase in enumerate(attempts):
            attempt = answer.task_executions.add()
            attempt.id.retry_attempt = number
            attempt.closure.phase = core_execution.TaskExecution.Phase.Value(phase)
            reason = attempt.closure.reasons.add(message=f"task of attempt {number + 1} is {phase}")
            reason.occurred_at.FromNanoseconds(self.created + number)
            # `no-links`: logs are not configured.
            if phase not in ("QUEUED", "INITIALIZING") and "no-links" not in BEHAVIOUR:
                attempt.closure.logs.add(name="Kubernetes Logs", uri=f"http://logs.example.test/{self.request.name}-{number}")
        return answer

    def data(self):
        phase, _ = self.phases()
        inputs = self.request.inputs.literals
        answer = execution_pb2.WorkflowExecutionGetDataResponse(full_inputs=self.request.inputs)
        if phase != "SUCCEEDED":
            return answer
        template = task_of(key(self.request.spec.launch_plan)).closure.compiled_task.template
        for name, variable in template.interface.outputs.variables.items():
            answer.full_outputs.literals[name].CopyFrom(output(name, variable, inputs))
        return answer


def output(name, variable, inputs):
    """The input of that name; else the first number twice, or a greeting."""
    if name in inputs:
        return inputs[name]
    primitives = [inputs[given].scalar.primitive for given in sorted(inputs)]
    literal = literals_pb2.Literal()
    if variable.type.simple == types_pb2.INTEGER:
        numbers = [primitive.integer for primitive in primitives if primitive.HasField("integer")]
        literal.scalar.primitive.integer = 2 * numbers[0]
    else:
        names = [primitive.string_value for primitive in primitives if primitive.HasField("string_value")]
        literal.scalar.primitive.string_value = f"hello {(names or ['nobody'])[0]}"
    return literal


def terminate(request, *name):
    run = Run(*name)
    STORE.mark("aborted", run.name, request.cause)
    return execution_pb2.ExecutionTerminateResponse()


def list_executions(query, *scope):
    names = STORE.keys("executions", "/".join(scope) + "/")
    load = lambda name: Run(*name.split("/")).execution()
    return page(names, query, load, execution_pb2.ExecutionList, "executions")


def projects(query):
    load = lambda name: project_pb2.Project(
        id=name, name=name, domains=[project_pb2.Domain(id=domain, name=domain) for domain in ("development", "production")]
    )
    return page(PROJECTS, query, load, project_pb2.Projects, "projects")


def upload_location(request, host):
    digest = base64.b64encode(request.content_md5).decode()
    path = f"uploads/{request.filename_root or request.content_md5.hex()}/{request.filename}"
    answer = dataproxy_pb2.CreateUploadLocationResponse(
        signed_url=f"http://{host}/store/{path}?signature=TOPSECRET", native_url=f"s3://bucket/{path}"
    )
    # As seen: the length is that of the checksum's text, and must not be sent.
    answer.headers.update({"Content-Length": str(len(digest)), "Content-MD5": digest})
    return answer


def version(query):
    answer = version_pb2.GetVersionResponse()
    answer.control_plane_version.Version = "v1.16.0"
    return answer


# Method, path and what it does: with the query or the request, and the parts of the path that are bracketed.
PART = "([^/]+)"
SCOPE = f"{PART}/{PART}"
ROUTES = [
    ("GET", "api/v1/version", None, version),
    ("GET", "api/v1/projects", None, projects),
    ("POST", "api/v1/tasks", task_pb2.TaskCreateRequest, create_task),
    ("GET", f"api/v1/tasks/{SCOPE}/{PART}/{PART}", None, lambda query, *name: task_of("/".join(name))),
    ("GET", f"api/v1/tasks/{SCOPE}/{PART}", None, list_tasks),
    ("GET", f"api/v1/tasks/{SCOPE}", None, list_tasks),
    ("POST", "api/v1/workflows", workflow_pb2.WorkflowCreateRequest, create_workflow),
    ("POST", "api/v1/launch_plans", launch_plan_pb2.LaunchPlanCreateRequest, create_launch_plan),
    ("GET", f"api/v1/launch_plans/{SCOPE}/{PART}/{PART}", None, lambda query, *name: plan_of("/".join(name))),
    ("GET", f"api/v1/launch_plans/{SCOPE}", None, list_plans),
    ("PUT", f"api/v1/launch_plans/{SCOPE}/{PART}/{PART}", launch_plan_pb2.LaunchPlanUpdateRequest, update_plan),
    ("GET", f"api/v1/active_launch_plans/{SCOPE}", None, active_plans),
    ("POST", "api/v1/executions", execution_pb2.ExecutionCreateRequest, create_execution),
    ("GET", f"api/v1/executions/{SCOPE}/{PART}", None, lambda query, *name: Run(*name).execution()),
    ("DELETE", f"api/v1/executions/{SCOPE}/{PART}", execution_pb2.ExecutionTerminateRequest, terminate),
    ("GET", f"api/v1/executions/{SCOPE}", None, list_executions),
    ("GET", f"api/v1/data/executions/{SCOPE}/{PART}", None, lambda query, *name: Run(*name).data()),
    ("GET", f"api/v1/node_executions/{SCOPE}/{PART}", None, lambda query, *name: Run(*name).nodes()),
    ("GET", f"api/v1/task_executions/{SCOPE}/{PART}/n0", None, lambda query, *name: Run(*name).attempts()),
    ("GET", "me", None, lambda query: identity_pb2.UserInfoResponse(name="Ada", email="ada@example.test")),
]
PUBLIC = {"config/v1/flyte_client", ".well-known/oauth-authorization-server", "oauth2/token", "oauth2/device"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one(self):
        url = urlsplit(self.path)
        path, query = unquote(url.path.strip("/")), parse_qs(url.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.binary = (self.headers.get("Accept") or self.headers.get("Content-Type")) == BINARY
        try:
            status, kind, content = self.answer(path, query, body)
        except Refused as refused:
            self.refuse(path, refused)
            return
        except ConnectionAbortedError:
            self.write_log(path, 0)
            self.close_connection = True
            return
        self.send(path, status, kind, content)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def answer(self, path, query, body):
        # `page`: a proxy sends its login page in place of every response.
        if "page" in BEHAVIOUR:
            return 200, "text/html; charset=utf-8", b"<html>Please log in</html>"
        if path.startswith("store/"):
            return self.store(path, body)
        if path.startswith("api/v1/"):
            # `busy`, `down`: one 429, one 503, each with a Retry-After.
            if STORE.once("busy"):
                raise Refused(EXHAUSTED, "too many requests", 1)
            if STORE.once("down"):
                raise Refused(UNAVAILABLE, "starting", 1)
        if path in PUBLIC:
            return self.login(path, body)
        self.check_login()
        for method, route, message, act in ROUTES:
            found = re.fullmatch(route, path)
            if method != self.command or not found:
                continue
            first = query if message is None else self.parse(message, body)
            return 200, *self.encode(act(first, *found.groups()))
        if path == "api/v1/dataproxy/artifact_urn":
            request = self.parse(dataproxy_pb2.CreateUploadLocationRequest, body)
            return 200, *self.encode(upload_location(request, self.headers["Host"]))
        raise Refused(NOT_FOUND, "Not Found")

    def check_login(self):
        # `auth`: calls need a token; it expires after N calls with `expires=N`.
        if "auth" not in BEHAVIOUR:
            return
        sent = [self.headers.get(name) for name in ("Authorization", "flyte-authorization")]
        number = STORE.marked("tokens", "count") or 0
        if f"Bearer {TOKEN}-{number}" not in sent or number == 0:
            raise Refused(LOGIN, "token parse error [JWT_VERIFICATION_FAILED]")
        limit = setting("expires")
        used = (STORE.marked("tokens", "used") or 0) + 1
        STORE.mark("tokens", "used", used)
        if limit and used > int(limit):
            STORE.mark("tokens", "used", 0)
            STORE.mark("tokens", "count", number + 1)
            raise Refused(LOGIN, "token has expired")

    def login(self, path, body):
        if "auth" not in BEHAVIOUR:
            raise Refused(UNIMPLEMENTED, "unknown service flyteidl.service.AuthMetadataService")
        base = f"{'https' if TLS else 'http'}://{self.headers['Host']}"
        if path == "config/v1/flyte_client":
            content = {
                "clientId": "flytectl",
                "redirectUri": f"http://localhost:{setting('redirect') or 53593}/callback",
                "scopes": ["offline", "all"],
                "authorizationMetadataKey": "flyte-authorization",
                "audience": "https://audience.example.test",
            }
        elif path == "oauth2/token":
            error = self.grant_error({name: values[0] for name, values in parse_qs(body.decode()).items()})
            if error:
                status = 401 if error == "invalid_client" else 400
                return status, JSON, json.dumps({"error": error}).encode()
            STORE.mark("tokens", "form", body.decode())
            number = max(STORE.marked("tokens", "count") or 0, 1)
            STORE.mark("tokens", "count", number)
            content = {"access_token": f"{TOKEN}-{number}", "expires_in": 1799, "scope": "all", "token_type": "bearer"}
        elif path == "oauth2/device":
            STORE.mark("tokens", "device", body.decode())
            content = {
                "device_code": "the-device",
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{base}/activate",
                "expires_in": 300,
                "interval": 1,
            }
        else:
            content = {
                "issuer": base,
                "authorizationEndpoint": f"{base}/oauth2/authorize",
                "tokenEndpoint": f"{base}/oauth2/token",
                "deviceAuthorizationEndpoint": f"{base}/oauth2/device" if "device" in BEHAVIOUR else "",
                "grantTypesSupported": ["client_credentials"],
            }
        return 200, JSON, json.dumps(content).encode()

    def grant_error(self, form):
        """The error of a request for a token; None for a client with its secret, an approved device, and a valid code."""
        grant = form.get("grant_type")
        if grant == "client_credentials":
            expected = "Basic " + base64.b64encode(b"robot:secret").decode()
            return None if self.headers.get("Authorization") == expected else "invalid_client"
        if form.get("client_id") != "flytectl":
            return "invalid_client"
        if grant == "urn:ietf:params:oauth:grant-type:device_code":
            if STORE.once("pending"):
                return "authorization_pending"
            return None if form.get("device_code") == "the-device" else "invalid_grant"
        return None if grant == "authorization_code" and form.get("code") == "the-code" else "invalid_grant"

    def store(self, path, body):
        if self.headers.get("Content-MD5") != base64.b64encode(hashlib.md5(body).digest()).decode():
            return 400, "application/xml", b"<Error><Code>BadDigest</Code></Error>"
        if int(self.headers["Content-Length"]) != len(body):
            return 400, "application/xml", b"<Error><Code>IncompleteBody</Code></Error>"
        file = STATE.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        return 200, "text/plain", b""

    def parse(self, message, body):
        if self.headers.get("Content-Type") == BINARY:
            return message.FromString(body)
        return json_format.Parse(body, message())

    def encode(self, message):
        if self.binary:
            return BINARY, message.SerializeToString()
        return JSON, json_format.MessageToJson(message).encode()

    def refuse(self, path, refused):
        if self.binary:
            content = status_pb2.Status(code=refused.code, message=refused.message).SerializeToString()
        else:
            content = json.dumps({"code": refused.code, "message": refused.message, "details": []}).encode()
        self.send(path, HTTP[refused.code], BINARY if self.binary else JSON, content, refused.retry_after)

    def send(self, path, status, kind, content, retry_after=None):
        self.write_log(path, status)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(content)

    def write_log(self, path, status):
        line = {"method": self.command, "path": path, "status": status, "time": time.time()}
        with STORE.lock, open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler)
    if TLS:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{TLS}/certificate.pem", f"{TLS}/key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


main()
