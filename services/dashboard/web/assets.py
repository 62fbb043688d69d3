"""Files for the browser, compressed in memory: own ones of static/, those of npm packages in assets/."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent.parent
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ONE_YEAR = "public, max-age=31536000, immutable"


class Assets:
    """Files by name."""

    def __init__(self) -> None:
        """Read all files. Raises FileNotFoundError without those of the npm packages."""
        if not (FOLDER / "assets/htmx.min.js").exists():
            raise FileNotFoundError(f"{FOLDER / 'assets'} is empty; python -m cli.assets fills it")
        files = [file for name in ("static", "assets") for file in (FOLDER / name).iterdir() if file.suffix in TYPES]
        self._files = {file.name: gzip.compress(file.read_bytes(), 9, mtime=0) for file in files}
        self._versions = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._files.items()}

    @property
    def compressed_bytes(self) -> int:
        """Return the size of all files as they are sent."""
        return sum(map(len, self._files.values()))

    def url(self, name: str) -> str:
        """Return the address of a file; it changes with the content. Raises KeyError for an unknown file."""
        return f"/static/{self._versions[name]}/{name}"

    def serve(self, request: Request) -> Response:
        """Respond with a file."""
        name = request.path_params["name"]
        if name not in self._files:
            return Response(status_code=404)
        headers = {"cache-control": ONE_YEAR, "vary": "accept-encoding"}
        data = self._files[name]
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        else:
            data = gzip.decompress(data)
        return Response(data, headers=headers, media_type=TYPES[Path(name).suffix])
