"""The image builder of a hosted backend: its store, its task, and images that it builds and pushes.

Commands and packages are not run here: what is copied is laid out as a layer, variables and working directory
become the config, and `skopeo` brings the image into the registry of the test.
"""

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from data import Data
from flyteidl2.core.types_pb2 import STRING
from flyteidl2.dataproxy.dataproxy_service_pb2 import CreateUploadLocationResponse, GetActionDataResponse
from flyteidl2.imagebuilder.definition_pb2 import Image, ImageSpec
from flyteidl2.imagebuilder.payload_pb2 import GetImageResponse
from flyteidl2.imagebuilder.service_connect import ImageServiceSync, ImageServiceWSGIApplication
from flyteidl2.task.common_pb2 import Outputs
from flyteidl2.task.task_service_pb2 import DeployTaskRequest
from flyteidl2.workflow.run_service_pb2 import CreateRunResponse
from runs import One, Runs

NAME = "build-image"
# Numbers of requests to the store are given one at a time.
PUTS = threading.Lock()
INPUTS = ("context", "spec", "target_image")
# `registry=HOST`: the registry of images whose target names none.
REGISTRY = next((word.partition("=")[2] for word in state.BEHAVIOUR if word.startswith("registry=")), "")


def task():
    """The registered task, with a field that the client does not know."""
    request = DeployTaskRequest()
    request.task_id.CopyFrom(type(request.task_id)(org="acme", project="system", domain="production", name=NAME, version="7"))
    template = request.spec.task_template
    template.id.project, template.id.domain, template.id.name, template.id.version = "system", "production", NAME, "7"
    template.container.image = "builder"
    template.config["unknown-to-clients"] = "kept"
    for name in INPUTS:
        template.interface.inputs.variables.add(key=name).value.type.simple = STRING
    template.interface.outputs.variables.add(key="fully_qualified_image").value.type.simple = STRING
    return request


class Images(ImageServiceSync):
    """Images by `name:tag`."""

    def get_image(self, request, ctx):
        image = state.read("images", request.id.name)
        if image is None:
            raise ConnectError(Code.NOT_FOUND, "image not found")
        return GetImageResponse(image=Image(id=request.id, fqin=image.decode()))


class BuildData(Data):
    """Signed upload addresses, and outputs of builds."""

    def create_upload_location(self, request, ctx):
        root = request.filename_root or base64.b32encode(request.content_md5).decode()
        # As in the open-source backend: the name is a part of an address.
        name = unquote(urlsplit("/" + request.filename).path[1:])
        path = f"uploads/{request.project}/{request.domain}/{root}/{name}"
        known = state.read("store", name_of(path))
        if request.filename_root and known is not None and hashlib.md5(known).digest() != request.content_md5:
            raise ConnectError(Code.ALREADY_EXISTS, f"file already exists at [{path}] with different content (hash mismatch)")
        # `expired-once`: the first address has expired; `expired`: all addresses have.
        late = "expired" in state.BEHAVIOUR or state.once("expired-once")
        # `gone`: no server listens there.
        host = "127.0.0.1:1" if "gone" in state.BEHAVIOUR else ctx.request_headers()["host"]
        md5 = base64.b64encode(request.content_md5).decode()
        return CreateUploadLocationResponse(
            signed_url=f"http://{host}/put/{quote(path)}?signature=TOPSECRET&late={int(late)}&md5={quote(md5)}",
            native_url=f"s3://bucket/{quote(path)}",
            headers={"x-amz-meta-flytecontentmd5": md5},
        )

    def get_action_data(self, request, ctx):
        name = request.action_id.run.name
        image = state.read("built", name)
        if image is None or One(name).phase() != "SUCCEEDED":
            return super().get_action_data(request, ctx)
        outputs = Outputs()
        outputs.literals.add(name="fully_qualified_image").value.scalar.primitive.string_value = image.decode()
        return GetActionDataResponse(outputs=outputs)


class Builds(Runs):
    """Runs, and among them builds, which come with the spec of their task."""

    def create_run(self, request, ctx):
        if not request.HasField("task_spec"):
            return super().create_run(request, ctx)
        given, known = type(request.task_spec)(), task().spec
        given.CopyFrom(request.task_spec)
        given.task_template.ClearField("security_context")
        if given != known:
            raise ConnectError(Code.INVALID_ARGUMENT, "the spec of the builder was changed on its way")
        name = request.run_id.name
        if state.write("runs", name, request.SerializeToString()) and not state.BEHAVIOUR & {"fail", "hold"}:
            literals = Data.inputs(request).literals
            self.build(name, {literal.name: literal.value.scalar.primitive.string_value for literal in literals}, request)
        return CreateRunResponse(run=self.listed(name))

    def build(self, run, inputs, request):
        spec = ImageSpec.FromString(stored(inputs["spec"]))
        context = io.BytesIO(gzip.decompress(stored(inputs["context"]))) if inputs["context"] else None
        secrets = sorted(secret.key for secret in request.task_spec.task_template.security_context.secrets)
        target = inputs["target_image"]
        full = target if "/" in target else f"{REGISTRY}/backend/{target}"
        made = {"spec": text(spec), "context": listing(context), "secrets": secrets, "run_spec": text(request.run_spec)}
        state.directory("made").joinpath(run).write_text(json.dumps(made))
        # `unpushed`: the registry does not show it.
        if "unpushed" not in state.BEHAVIOUR:
            push(spec, context, full)
        state.write("built", run, full.encode())
        state.directory("images").joinpath(target.rsplit("/", 1)[-1]).write_text(full)


def text(message):
    from google.protobuf import json_format

    return json_format.MessageToDict(message)


def listing(context):
    """Path, mode, owner and time of every entry of an archive."""
    if context is None:
        return None
    with tarfile.open(fileobj=context) as archive:
        entries = [f"{entry.name} {entry.mode:o} {entry.uid}:{entry.gid} {int(entry.mtime)}" for entry in archive]
    context.seek(0)
    return entries


def push(spec, context, reference):
    """Builds an image of one layer, and pushes it to its target."""
    layer, config = io.BytesIO(), {"Env": [], "WorkingDir": ""}
    source = tarfile.open(fileobj=context) if context else None
    with tarfile.open(fileobj=layer, mode="w") as target:
        for step in spec.layers:
            kind = step.WhichOneof("layer")
            if kind == "copy_config":
                copy(source, target, step.copy_config.src, step.copy_config.dst.strip("/"))
            elif kind == "env":
                config["Env"] += [f"{name}={value}" for name, value in sorted(step.env.env_variables.items())]
            elif kind == "workdir":
                config["WorkingDir"] = step.workdir.workdir
    with tempfile.TemporaryDirectory() as directory:
        layout(Path(directory), layer.getvalue(), config)
        command = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{directory}:image", f"docker://{reference}"]
        subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", "HOME": directory})


def copy(source, target, from_, to):
    """As COPY: a file, or the content of a directory."""
    found = [entry for entry in source if entry.name == from_ or entry.name.startswith(f"{from_}/")]
    if not found:
        raise ConnectError(Code.INVALID_ARGUMENT, f"there is no {from_} in the context")
    for entry in found:
        placed = tarfile.TarInfo(f"{to}{entry.name[len(from_):]}".strip("/"))
        placed.mode, placed.type, placed.size, placed.linkname = entry.mode, entry.type, entry.size, entry.linkname
        if placed.name:
            target.addfile(placed, source.extractfile(entry) if entry.isfile() else None)


def layout(directory, layer, config):
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs.joinpath(digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    packed = blob(gzip.compress(layer, mtime=0), "layer.v1.tar+gzip")
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    image = {"os": "linux", "architecture": "amd64", "config": config, "rootfs": rootfs}
    image = blob(json.dumps(image).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": image, "layers": [packed]}
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    directory.joinpath("index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    directory.joinpath("oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def stored(uri):
    content = state.read("store", name_of(unquote(uri.removeprefix("s3://bucket/"))))
    if content is None:
        raise ConnectError(Code.NOT_FOUND, f"{uri} was not uploaded")
    return content


def name_of(path):
    return path.replace("/", "%")


def put(environ, start_response):
    """The store: accepts what the address was signed for, as S3 does."""
    # The server has decoded the path already, to bytes in the form of a text.
    url = urlsplit(quote(environ["PATH_INFO"].encode("latin-1")) + "?" + environ.get("QUERY_STRING", ""))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    with PUTS:
        state.directory("puts").joinpath(f"{len(state.names('puts')):04}").write_text(unquote(url.path))
    # `grows=FILE`: appends to a file on the user's machine while it is sent.
    for word in state.BEHAVIOUR:
        if word.startswith("grows=") and state.once(word, "grows"):
            with open(word.partition("=")[2], "ab") as grown:
                grown.write(b"more")

    def refuse(status, code, message):
        start_response(status, [("Content-Type", "application/xml"), ("Retry-After", "0")])
        return [f"<Error><Code>{code}</Code><Message>{message}</Message><StringToSign>TOPSECRET</StringToSign></Error>".encode()]

    if parse_qs(url.query)["late"] == ["1"]:
        return refuse("403 Forbidden", "AccessDenied", "Request has expired")
    # `busy`: the first two requests get 503.
    if "busy" in state.BEHAVIOUR and (state.write("done", "busy-1", b"") or state.write("done", "busy-2", b"")):
        return refuse("503 Service Unavailable", "SlowDown", "Please reduce your request rate.")
    # `torn`: the received content differs from the sent one.
    if "torn" in state.BEHAVIOUR or environ.get("HTTP_CONTENT_MD5") != md5:
        return refuse("400 Bad Request", "BadDigest", "The Content-MD5 you specified did not match what we received.")
    signed = environ.get("HTTP_X_AMZ_META_FLYTECONTENTMD5") == md5 and md5 == parse_qs(url.query)["md5"][0]
    if not signed or "HTTP_AUTHORIZATION" in environ or "HTTP_TRANSFER_ENCODING" in environ or environ["REQUEST_METHOD"] != "PUT":
        return refuse("403 Forbidden", "SignatureDoesNotMatch", "The request is not the one that was signed.")
    state.write("store", name_of(unquote(url.path).removeprefix("/put/")), body)
    start_response("200 OK", [])
    return [b""]


def install(applications, tasks, recorded):
    """Adds the services of a backend with a builder. `disabled`: without the task of the builder."""
    if "disabled" not in state.BEHAVIOUR:
        tasks.keep(task(), 1)
    applications["ImageService"] = ImageServiceWSGIApplication(Images(), interceptors=recorded)
    applications["put"] = put
