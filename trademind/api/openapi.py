"""The OpenAPI document, with the problem document as a component of its own."""

from typing import Any

from fastapi import FastAPI

from trademind.api.schemas.problem import Problem


class DescribedApp(FastAPI):
    """A FastAPI application whose routes refer to `#/components/schemas/Problem`."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs"))
            schemas["Problem"] = problem
        return document
