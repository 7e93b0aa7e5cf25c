"""Secrets as in the open-source backend: by project and domain, or for all; values are not returned."""

import threading

import state
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.secret.definition_pb2 import OverallStatus, Secret, SecretMetadata, SecretSpec, SecretStatus
from flyteidl2.secret.payload_pb2 import (
    CreateSecretRequest,
    CreateSecretResponse,
    DeleteSecretResponse,
    GetSecretResponse,
    ListSecretsResponse,
    UpdateSecretResponse,
)
from flyteidl2.secret.secret_connect import SecretServiceSync

# The most bytes of a Kubernetes `Secret`.
LIMIT = 1 << 20


class Secrets(SecretServiceSync):
    """Secrets in files: each is its create request."""

    def __init__(self):
        self.lock = threading.Lock()

    def create_secret(self, request, ctx):
        # `cut-secret`: the request is processed, and the response is lost.
        new = self.write(request.id, request.secret_spec, overwrite=False)
        if state.once("cut-secret"):
            state.cut()
        if not new:
            raise ConnectError(Code.ALREADY_EXISTS, f'secrets "{request.id.name}" already exists')
        return CreateSecretResponse()

    def update_secret(self, request, ctx):
        self.find(request.id)
        self.write(request.id, request.secret_spec, overwrite=True)
        return UpdateSecretResponse()

    def get_secret(self, request, ctx):
        return GetSecretResponse(secret=self.listed(self.find(request.id)))

    def delete_secret(self, request, ctx):
        self.find(request.id)
        (state.directory("secrets") / self.key(request.id)).unlink()
        return DeleteSecretResponse()

    def list_secrets(self, request, ctx):
        prefix = self.scope(request.project, request.domain)
        names = [name for name in state.names("secrets") if name.rpartition(".")[0] == prefix]
        first = int(request.token or 0)
        # `small-pages`: two entries on a page, for any requested size.
        size = 2 if "small-pages" in state.BEHAVIOUR else request.limit or 50
        made = [CreateSecretRequest.FromString(state.read("secrets", name)) for name in names[first : first + size]]
        token = str(first + size) if first + size < len(names) else ""
        return ListSecretsResponse(secrets=[self.listed(secret) for secret in made], token=token)

    def write(self, identity, spec, overwrite):
        value = spec.binary_value if spec.HasField("binary_value") else spec.string_value.encode()
        if len(value) > LIMIT:
            raise ConnectError(Code.INTERNAL, "data: Too long: must have at most 1048576 bytes")
        content = CreateSecretRequest(id=identity, secret_spec=spec).SerializeToString()
        with self.lock:
            if overwrite:
                (state.directory("secrets") / self.key(identity)).unlink(missing_ok=True)
            new = state.write("secrets", self.key(identity), content)
            if new:
                (state.directory("values") / self.key(identity)).write_bytes(value)
            return new

    def find(self, identity):
        content = state.read("secrets", self.key(identity))
        if content is None:
            raise ConnectError(Code.NOT_FOUND, f"secret {identity.name} not found")
        return CreateSecretRequest.FromString(content)

    def key(self, identity):
        return f"{self.scope(identity.project, identity.domain)}.{identity.name}"

    @staticmethod
    def scope(project, domain):
        if bool(project) != bool(domain):
            raise ConnectError(Code.INVALID_ARGUMENT, "project and domain must both be set or both be empty")
        return f"{project}-{domain}" if project else "all"

    def listed(self, made):
        status = SecretStatus(overall_status=OverallStatus.FULLY_PRESENT)
        metadata = SecretMetadata(secret_status=status, type=made.secret_spec.type)
        metadata.created_time.FromNanoseconds(int(state.created("secrets", self.key(made.id)) * 1e9))
        return Secret(id=made.id, secret_metadata=metadata)
