"""Let ES modules find packages in a folder that is not above them: they don't look at NODE_PATH."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

_HOOK = """
let base;
export function initialize(data) { base = data.base; }
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || /^[./]|^[a-z]+:/.test(specifier)) throw error;
    try {
      return await next(specifier, { ...context, parentURL: base });
    } catch {
      throw error;
    }
  }
}
"""


def finding(modules: Path) -> tuple[str, ...]:
    """Return the words that make node look in a node_modules folder after all others."""
    base = (modules.parent / "package.json").as_uri()
    preload = (
        "import { register } from 'node:module';"
        f"register({json.dumps(_url(_HOOK))}, {{ data: {{ base: {json.dumps(base)} }} }});"
    )
    return ("--import", _url(preload))


def _url(script: str) -> str:
    return f"data:text/javascript,{quote(script, safe='')}"
