"""The OpenAPI document: what FastAPI reads off the routes, with our errors in place of its own."""

from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.auth import ShopNeeds
from api.errors import PROBLEM, V1
from models.settings import settings

Document = dict[str, Any]
JSON = "application/json"
NOT_OURS = ("HTTPValidationError", "ValidationError")  # the shapes that FastAPI would answer with
REFUSALS = {"401": "not signed in", "403": "signed in, but without the permission"}


class Finding(BaseModel):
    """One thing that is wrong with what was sent."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """An error under /api/v1: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Finding] = []


class OlderError(BaseModel):
    code: int
    message: str
    details: list[Finding] = []


class OlderProblem(BaseModel):
    """An error on the older paths."""

    error: OlderError


class DocumentedApp(FastAPI):
    """An application whose document tells how its errors look, and who must sign in."""

    def openapi(self) -> Document:
        """Made when it is first asked for, and kept."""
        if self.openapi_schema is None:
            made = super().openapi()
            _put_in_our_shapes(made["components"]["schemas"])
            for path, item in made["paths"].items():
                for method, operation in item.items():
                    _tell_errors(path, operation)
                    if settings().shop_is_open and (method, path) in self._shop_routes:
                        operation["security"].append({})  # with a sign-in or without
        return self.openapi_schema or {}

    @property
    def _shop_routes(self) -> set[tuple[str, str]]:
        contexts = iter_route_contexts(self.routes)
        return {
            (method.lower(), found.path or "")
            for found in contexts
            if isinstance(found.original_route, APIRoute)
            and _is_shop(found.original_route.dependant)
            for method in found.methods or ()
        }


def _is_shop(asks: Dependant) -> bool:
    """Also where what a route depends on is what asks."""
    return any(isinstance(one.call, ShopNeeds) or _is_shop(one) for one in asks.dependencies)


def _put_in_our_shapes(schemas: Document) -> None:
    _, ours = models_json_schema(
        [(Problem, "serialization"), (OlderProblem, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    for name in NOT_OURS:
        schemas.pop(name, None)
    schemas |= ours["$defs"]


def _tell_errors(path: str, operation: Document) -> None:
    """Each error that a route names, and all that it does not, in the shape of its path."""
    media_type, shape = (PROBLEM, "Problem") if path.startswith(V1) else (JSON, "OlderProblem")
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    responses = operation["responses"]
    for status in REFUSALS if operation.get("security") else ():
        responses.setdefault(status, {"description": REFUSALS[status]})
    responses["default"] = {"description": "any other error"}
    for status, response in responses.items():
        if status == "422" or (status[0] in "4d" and "content" not in response):
            response["content"] = content
