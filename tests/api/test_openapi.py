"""schemathesis: requests made from our OpenAPI document find no 5xx."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.schemas import OpenApiSchema

from tests.api.servers import Server
from tests.budget import examples

# OpenApiSchema is imported here and not by the test: pytest rewrites what is imported (ast.parse),
# and when a collected socket was reported meanwhile (ast.parse, too), Python 3.11.7 saw corruption.


def test_no_request_made_from_our_document_is_an_error_of_the_server(server: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")
    assert isinstance(schema, OpenApiSchema)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 4
    cases = st.one_of([operation.as_strategy() for operation in operations])

    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases)
    def check(case: Any) -> None:
        case.call_and_validate(checks=[not_a_server_error], timeout=60)

    check()
