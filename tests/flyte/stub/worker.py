"""A worker with the official messages and client, in place of one in Rust.

It follows the `flyte` crate: its names come from the environment, inputs and outputs are files, and each
trace is reported to the service that the environment names. It exits with 1 after an unexpected input.
"""

import os
import sys

import msgpack
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from flyteidl2.actions.actions_service_connect import ActionsServiceClientSync
from flyteidl2.actions.actions_service_pb2 import Action, EnqueueRequest, UpdateRequest, WatchForUpdatesRequest
from flyteidl2.common.identifier_pb2 import ActionIdentifier, RunIdentifier
from flyteidl2.common.phase_pb2 import ACTION_PHASE_FAILED, ACTION_PHASE_SUCCEEDED
from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument
from flyteidl2.core.literals_pb2 import Binary, Literal, Primitive, Scalar
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral, OutputReferences, Outputs
from flyteidl2.task.task_definition_pb2 import TraceSpec
from flyteidl2.workflow.run_definition_pb2 import ConditionAction, TraceAction
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

ARGUMENTS = dict(zip(sys.argv[2::2], sys.argv[3::2]))
BASE = os.environ["_U_RUN_BASE"]
RUN = RunIdentifier(
    org=os.environ["_U_ORG_NAME"],
    project=os.environ["FLYTE_INTERNAL_EXECUTION_PROJECT"],
    domain=os.environ["FLYTE_INTERNAL_EXECUTION_DOMAIN"],
    name=os.environ["RUN_NAME"],
)
PARENT = os.environ["ACTION_NAME"]


def client():
    http = SyncClient(SyncHTTPTransport(http_version=HTTPVersion.HTTP2))
    address = os.environ["_U_EP_OVERRIDE"]
    return ActionsServiceClientSync(address, protocol=ProtocolType.GRPC, http_client=http, send_compression=None)


def identifier(name):
    return ActionIdentifier(run=RUN, name=name)


def watch():
    return client().watch_for_updates(WatchForUpdatesRequest(parent_action_id=identifier(PARENT)))


def enqueue(name, **spec):
    action = Action(action_id=identifier(name), parent_action_name=PARENT, input_uri=f"{BASE}/{name}/inputs.pb", run_output_base=BASE, **spec)
    client().enqueue(EnqueueRequest(action=action))


def trace(name, output):
    action = TraceAction(name=name, phase=ACTION_PHASE_SUCCEEDED, outputs=OutputReferences(output_uri=output), spec=TraceSpec())
    action.start_time.FromMilliseconds(1_000_000)
    action.end_time.FromMilliseconds(1_001_500)
    return action


def steps():
    """Sends two traces and a watch request, and checks the updates that the backend would send."""
    updates = watch()
    first = next(updates)
    assert first.control_message.sentinel, first

    for name in ("double", "describe"):
        enqueue(f"{name}-1", trace=trace(name, f"{BASE}/{name}-1/outputs.pb"))
        update = next(updates).action_update
        assert update.action_id == identifier(f"{name}-1"), update
        assert (update.phase, update.output_uri) == (ACTION_PHASE_SUCCEEDED, f"{BASE}/{name}-1/outputs.pb"), update

    try:
        enqueue("double-1", trace=trace("double", "elsewhere"))
        raise AssertionError("a step was taken twice")
    except ConnectError as error:
        assert error.code == Code.ALREADY_EXISTS, error

    enqueue("ask-1", condition=ConditionAction(name="approve", prompt="?"))
    update = next(updates).action_update
    assert update.phase == ACTION_PHASE_FAILED, update
    assert "`approve` waits for the input of a user" in update.error.message, update

    # A later watcher gets the existing actions, and then the end of the list.
    again = watch()
    there = [next(again) for _ in range(4)]
    assert [message.action_update.action_id.name for message in there] == ["double-1", "describe-1", "ask-1", ""], there
    assert there[3].control_message.sentinel, there
    stranger = client().watch_for_updates(WatchForUpdatesRequest(parent_action_id=identifier("another")))
    assert next(stranger).control_message.sentinel

    try:
        client().update(UpdateRequest(action_id=identifier("double-1"), attempt=1))
        raise AssertionError("a method that is not there was there")
    except ConnectError as error:
        assert error.code == Code.UNIMPLEMENTED, error


def main():
    assert sys.argv[1] == PARENT == "a0" and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0", sys.argv
    # The backend leaves these as they are.
    assert (ARGUMENTS["--run-name"], ARGUMENTS["--name"]) == ("{{.runName}}", "{{.actionName}}"), sys.argv
    assert ARGUMENTS["--inputs"].startswith(BASE + "/") and ARGUMENTS["--outputs-path"].startswith(BASE + "/"), sys.argv
    with open(ARGUMENTS["--inputs"], "rb") as file:
        inputs = Inputs.FromString(file.read())
    given = {named.name: named.value.scalar for named in inputs.literals}
    label, x = given["label"].primitive.string_value, given["x"].primitive.integer
    print(f"{label} {x} {given['rate'].primitive.float_value} {given['ok'].primitive.boolean} {msgpack.unpackb(given['fields'].binary.value)}")
    print("key", os.environ.get("EAGER_API_KEY"), os.environ.get("_UNION_EAGER_API_KEY"), "log", os.environ["RUST_LOG"], "own", os.environ["OWN"])

    directory = ARGUMENTS["--outputs-path"]
    os.makedirs(directory, exist_ok=True)
    if label == "fail":
        error = ContainerError(code="Negative", message=f"Negative: {x} is below zero")
        return write(f"{directory}/error.pb", ErrorDocument(error=error))
    if label == "forget":
        return None
    steps()
    table = Scalar(binary=Binary(tag="msgpack", value=msgpack.packb({"mean": x / 2, "label": label, "deep": [{"none": None}, -7]})))
    outputs = {"o0": Scalar(primitive=Primitive(integer=2 * x)), "o1": table}
    if label == "half":
        del outputs["o1"]
    return write(f"{directory}/outputs.pb", Outputs(literals=[NamedLiteral(name=name, value=Literal(scalar=value)) for name, value in outputs.items()]))


def write(path, message):
    with open(path, "wb") as file:
        file.write(message.SerializeToString())


main()
