"""Inputs, outputs and logs of runs. There is one cluster."""

import base64
import hashlib
import time

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.cluster.payload_pb2 import SelectClusterResponse
from flyteidl2.cluster.service_connect import ClusterServiceSync
from flyteidl2.common.run_pb2 import OffloadedInputData
from flyteidl2.core.literals_pb2 import Literal, Scalar, Void
from flyteidl2.core.types_pb2 import INTEGER, NONE
from flyteidl2.dataproxy.dataproxy_service_connect import DataProxyServiceSync
from flyteidl2.dataproxy.dataproxy_service_pb2 import GetActionDataResponse, TailLogsResponse, UploadInputsResponse
from flyteidl2.logs.dataplane.payload_pb2 import LogLine, LogLineOriginator
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral, Outputs
from runs import LAST, One


class Clusters(ClusterServiceSync):
    """Selects this server for every operation."""

    def select_cluster(self, request, ctx):
        return SelectClusterResponse()


class Data(DataProxyServiceSync):
    """Inputs by their hash, and outputs computed from them."""

    def __init__(self, tasks):
        self.tasks = tasks

    def upload_inputs(self, request, ctx):
        # `no-uploads`: as a backend without a data proxy.
        if "no-uploads" in state.BEHAVIOUR:
            raise ConnectError(Code.UNIMPLEMENTED, "no such service")
        content = request.inputs.SerializeToString(deterministic=True)
        digest = hashlib.sha256(content).digest()
        state.write("inputs", digest.hex(), content)
        uri = f"s3://bucket/offloaded-inputs/{digest.hex()}"
        data = OffloadedInputData(uri=uri, inputs_hash=base64.b64encode(digest).decode())
        return UploadInputsResponse(offloaded_input_data=data)

    def get_action_data(self, request, ctx):
        one = One(request.action_id.run.name)
        # `no-data`: as a backend that finds no data of a run because its outputs are gone.
        if "no-data" in state.BEHAVIOUR:
            raise ConnectError(Code.NOT_FOUND, "failed to read data")
        sent = self.inputs(one.request)
        if one.phase() != "SUCCEEDED":
            return GetActionDataResponse(inputs=sent)
        inputs = {literal.name: literal.value for literal in sent.literals}
        interface = one.spec.task_template.interface
        outputs = [NamedLiteral(name=entry.key, value=self.output(entry, inputs)) for entry in interface.outputs.variables]
        return GetActionDataResponse(inputs=sent, outputs=Outputs(literals=outputs))

    @staticmethod
    def inputs(request):
        if request.HasField("inputs"):
            return request.inputs
        return Inputs.FromString(state.read("inputs", request.offloaded_input_data.uri.rsplit("/", 1)[-1]))

    @staticmethod
    def output(entry, inputs):
        """The input of that name; else the first number twice, or a greeting."""
        if entry.key in inputs:
            return inputs[entry.key]
        if entry.value.type.simple == NONE and entry.value.type.HasField("simple"):
            return Literal(scalar=Scalar(none_type=Void()))
        primitives = [value.scalar.primitive for value in inputs.values()]
        output = Literal()
        if entry.value.type.simple == INTEGER:
            numbers = [primitive.integer for primitive in primitives if primitive.HasField("integer")]
            output.scalar.primitive.integer = 2 * numbers[0]
        else:
            names = [primitive.string_value for primitive in primitives if primitive.HasField("string_value")]
            output.scalar.primitive.string_value = f"hello {(names or ['nobody'])[0]}"
        return output

    def tail_logs(self, request, ctx):
        # `no-logs`: as a backend without them; `late-logs`: they appear later.
        if "no-logs" in state.BEHAVIOUR:
            raise ConnectError(Code.UNIMPLEMENTED, "no such service")
        if state.once("late-logs"):
            raise ConnectError(Code.NOT_FOUND, "no logs yet")
        one = One(request.action_id.run.name)
        attempts = one.status(one.phase()).attempts
        if request.attempt > max(attempts, 1):
            raise ConnectError(Code.NOT_FOUND, f"no event found for attempt {request.attempt}")
        # `pods-gone`: as the open-source backend, which has the logs of pods only: none of old attempts and ended runs.
        if "pods-gone" in state.BEHAVIOUR and (request.attempt < attempts or one.phase() in LAST):
            raise ConnectError(Code.NOT_FOUND, f"no log context found for attempt {request.attempt}")
        # `pods-lost`: the same, with the message for a pod that is being removed.
        if "pods-lost" in state.BEHAVIOUR and (request.attempt < attempts or one.phase() in LAST):
            raise ConnectError(Code.INTERNAL, 'failed to stream pod logs: pods "a" not found')
        if state.BEHAVIOUR & {"wild-logs", "big-logs", "no-store"}:
            yield from self.special(request)
            return
        # `old`: the log of the container that runs at this moment.
        if "old" in state.BEHAVIOUR:
            yield self.lines(request, ["exit code 7 is near"], LogLineOriginator.USER)
            return
        yield self.lines(request, ["pulled the image"], LogLineOriginator.SYSTEM)
        yield self.lines(request, [f"attempt {request.attempt} begins", "and goes on"], LogLineOriginator.USER)
        # `cut-logs`: the connection ends after the first lines, once.
        if state.once("cut-logs"):
            state.cut()
        one = One(request.action_id.run.name)
        while one.phase() not in LAST:
            time.sleep(0.01)
            one = One(one.name)
        yield self.lines(request, [f"attempt {request.attempt} ends"], LogLineOriginator.USER)
        # `endless-logs`: as the hosted backend, whose stream does not end with the program.
        while "endless-logs" in state.BEHAVIOUR:
            time.sleep(0.01)

    def special(self, request):
        """`wild-logs`: control sequences; `big-logs`: 128 lines of 1 MiB; `no-store`: of a worker without access."""
        if "wild-logs" in state.BEHAVIOUR:
            wild = ["\x1b[1;31mred\x1b[0m", "\x1b]0;owned\x07", "up\x1b[1A", "10%\r20%", "w" * 300_000]
            yield self.lines(request, wild, LogLineOriginator.USER)
        if "no-store" in state.BEHAVIOUR:
            yield self.lines(request, ["object_store: 403 Forbidden"], LogLineOriginator.USER)
        for _ in range(128 if "big-logs" in state.BEHAVIOUR else 0):
            yield self.lines(request, ["b" * (1 << 20)], LogLineOriginator.USER)

    @staticmethod
    def lines(request, texts, originator):
        line = lambda text: LogLine(message=text, originator=originator)
        return TailLogsResponse(logs=[TailLogsResponse.Logs(lines=[line(text) for text in texts])])
