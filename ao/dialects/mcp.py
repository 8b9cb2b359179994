"""Calls of MCP tools.  They come from the ``mcp`` package, not from HTTP, so no request matches."""

from __future__ import annotations

from typing import Any

from ao.dialects.base import Asked, Dialect, at, listed

__all__ = ["MCPTools"]


class MCPTools(Dialect):
    """``tools/call``: the request is ``{"name": ..., "arguments": {...}}``, the answer MCP's ``CallToolResult``."""

    name = "mcp.tools"

    def matches(self, asked: Asked) -> bool:
        return asked.method == "tools/call"

    def model(self, asked: Asked) -> str:
        return ""

    def label(self, asked: Asked) -> str:
        return str(at(asked.json, "name") or self.name)

    def streaming(self, asked: Asked) -> bool:
        return False

    def text(self, body: Any) -> str:
        return "\n".join(str(part["text"]) for part in listed(body, "content") if isinstance(at(part, "text"), str))

    def error(self, body: Any) -> str:
        return (self.text(body) or "The tool failed.") if at(body, "isError") else super().error(body)
