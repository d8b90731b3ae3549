"""JSON in and out of the page's own routes: a body is checked for its fields, a UserError becomes its problems."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.errors import DatasetError, Problem, UserError
from gui.languages import language_of
from gui.texts import Texts, texts_of

Handler = Callable[[Request], Awaitable[Response]]


def answering(handler: Handler) -> Handler:
    """The handler, with a UserError answered as 422 with its problems, as `tell_problems` gives them."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except UserError as error:
            return refusal(error, request)

    return answer


def refusal(error: UserError, request: Request) -> Response:
    """422 with the problems of an error."""
    return JSONResponse({"problems": tell_problems(error.problems, texts_of(language_of(request)))}, status_code=422)


def tell_problems(problems: Iterable[Problem], texts: Texts) -> list[dict[str, str]]:
    """Each problem as scripts show it: option, message and hint in the page's language."""
    return [
        {"option": problem.option, "message": texts.message(problem.message), "hint": texts.message(problem.hint)}
        for problem in problems
    ]


async def body_of(request: Request, **wanted: type) -> dict[str, Any]:
    """The JSON object of a request with a value of the wanted type for each name. Raises DatasetError otherwise."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise DatasetError("the request is no JSON") from error
    if not isinstance(body, dict):
        raise DatasetError("the request is no JSON object")
    for name, kind in wanted.items():
        if not isinstance(body.get(name), kind):
            raise DatasetError(f"the request's {name} is no {kind.__name__}")
    return body
