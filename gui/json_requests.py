"""JSON in and out of the page's own routes: a body is checked for its fields, a UserError becomes its problems."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.errors import DatasetError, UserError
from gui.languages import language_of
from gui.texts import texts_of

Handler = Callable[[Request], Awaitable[Response]]


def answering(handler: Handler) -> Handler:
    """The handler, with a UserError answered as 422 and {"problems": [{"message", "hint"}]} in the page's language."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except UserError as error:
            texts = texts_of(language_of(request))
            told = [
                {"message": texts.message(problem.message), "hint": texts.message(problem.hint)}
                for problem in error.problems
            ]
            return JSONResponse({"problems": told}, status_code=422)

    return answer


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
