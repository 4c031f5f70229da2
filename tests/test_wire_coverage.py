"""The document that says what of the wire protocol is covered is what the gateway says when it is asked."""

import ast

import pytest

from tests.gateway.wire import coverage


@pytest.mark.parametrize("proof", sorted({*coverage.PROOFS.values(), coverage.FOR_ALL}))
def test_every_test_named_exists(proof: str) -> None:
    path, _, name = proof.partition("::")
    tree = ast.parse((coverage.ROOT / path).read_text())

    assert name in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_the_document_is_up_to_date() -> None:
    assert coverage.DOCUMENT.read_text() == coverage.document(), f"stale: {coverage.COMMAND}"
