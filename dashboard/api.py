"""The HTTP side that is not a page."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Says that the server answers; touches no disk."""
    return {"status": "ok"}


@router.get("/api/{rest:path}", include_in_schema=False)
async def no_such_route(rest: str) -> None:
    """Keeps unknown API paths from being answered with a page."""
    raise HTTPException(status_code=404, detail=f"no route /api/{rest}")
