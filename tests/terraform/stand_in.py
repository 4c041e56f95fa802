"""A provider for Terraform that has the real one's argument names and nothing behind them.

``stand_in.py azurerm SCHEMA --dev`` serves a schema for ``terraform validate`` and for tests with
``mock_provider``; ``stand_in.py random --dev`` makes the same "random" password each time, so that
a test can look for it where it must not be. Either prints how Terraform reaches it, and runs until
it is stopped. It needs an environment of its own that has the package `tf`.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import tf.provider
import tf.runner
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

PASSWORD = "NotRandomAtAllButEasyToFindWhereItMustNotBe12345"
RANDOM = sys.argv[1] == "random"

# `tf` knows the protocol from before there were write-only arguments and ephemeral resources;
# these are the numbers of their fields in later versions of it.
WRITE_ONLY = b"\x58\x01"  # field 11, true
EPHEMERAL_SCHEMAS = 8
OPEN_RESULT = 3
ONE_SCHEMA = pb.ServerCapabilities(get_provider_schema_optional=True)

PASSWORD_ARGUMENTS = {
    "length": ("number", "required"),
    **dict.fromkeys(("lower", "upper", "numeric", "number", "special"), ("bool", "optional")),
    **dict.fromkeys(
        ("min_lower", "min_upper", "min_numeric", "min_special"), ("number", "optional")
    ),
    "override_special": ("string", "optional"),
    "result": ("string", "computed"),
    "bcrypt_hash": ("string", "computed"),
}


def attribute(name: str, facts: dict[str, Any]) -> Any:
    made = pb.Schema.Attribute(
        name=name,
        type=json.dumps(facts["type"]).encode(),
        required=facts.get("required", False),
        optional=facts.get("optional", False),
        computed=facts.get("computed", False) and not name.endswith("_wo"),
    )
    if name.endswith("_wo"):
        made.MergeFromString(WRITE_ONLY)
    return made


def block(facts: dict[str, Any]) -> Any:
    nesting = pb.Schema.NestedBlock.NestingMode
    return pb.Schema.Block(
        attributes=[attribute(*each) for each in sorted(facts.get("attributes", {}).items())],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=block(inner["block"]),
                nesting=nesting.Value(inner["nesting_mode"].upper()),
                min_items=inner.get("min_items", 0),
                max_items=inner.get("max_items", 0),
            )
            for name, inner in sorted(facts.get("block_types", {}).items())
        ],
    )


def schemas(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: pb.Schema(version=0, block=block(each["block"])) for name, each in facts.items()}


def field(number: int, content: bytes) -> bytes:
    """A field with bytes, as protocol buffers write it."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


@cache
def azurerm_schema() -> Any:
    facts = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))["schema"]
    return pb.GetProviderSchema.Response(
        provider=pb.Schema(version=0, block=block(facts["provider"]["block"])),
        resource_schemas=schemas(facts["resource_schemas"]),
        data_source_schemas=schemas(facts["data_source_schemas"]),
        server_capabilities=ONE_SCHEMA,
    )


@cache
def random_schema() -> Any:
    arguments = {
        name: {"type": kind, use: True} for name, (kind, use) in PASSWORD_ARGUMENTS.items()
    }
    password = pb.Schema(version=0, block=block({"attributes": arguments}))
    entry = field(1, b"random_password") + field(2, password.SerializeToString())
    made = pb.GetProviderSchema.Response(
        provider=pb.Schema(version=0, block=pb.Schema.Block()), server_capabilities=ONE_SCHEMA
    )
    made.MergeFromString(field(EPHEMERAL_SCHEMAS, entry))
    return made


class StandIn(rpc.ProviderServicer):  # type: ignore[misc]
    """Says yes to whatever fits the schema."""

    def __init__(self, _: object = None) -> None:
        pass

    def GetMetadata(self, request: Any, context: Any) -> None:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return random_schema() if RANDOM else azurerm_schema()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ConfigureProvider.Response()

    def GetFunctions(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.StopProvider.Response()


def open_password(request: bytes, context: Any) -> bytes:
    values = dict.fromkeys(PASSWORD_ARGUMENTS) | {
        "length": len(PASSWORD),
        "special": False,
        "result": PASSWORD,
        "bcrypt_hash": "",
    }
    document = pb.DynamicValue(json=json.dumps(values).encode())
    return field(OPEN_RESULT, document.SerializeToString())


def add_to_server(servicer: Any, server: Any) -> None:
    add_known(servicer, server)
    answers = {
        "ValidateEphemeralResourceConfig": lambda request, context: b"",
        "OpenEphemeralResource": open_password,
        "CloseEphemeralResource": lambda request, context: b"",
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers),)
    )


class Named:
    """What `tf` asks of a provider beside the protocol."""

    def full_name(self) -> str:
        return f"registry.terraform.io/hashicorp/{'random' if RANDOM else 'azurerm'}"


if __name__ == "__main__":
    add_known = rpc.add_ProviderServicer_to_server
    rpc.add_ProviderServicer_to_server = add_to_server
    tf.provider.ProviderServicer = StandIn
    tf.runner.run_provider(Named())
