"""The paths of requests: their owners, and the rules that hold for them."""

API_PREFIXES = ("/api", "/v2", "/healthz", "/readyz", "/metrics")
"""Paths that belong to the API; all others are the page's."""
OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/api/docs", "/api/docs/oauth2-redirect", "/api/openapi.json"}
)
"""Paths of the API that anybody may read, any number of times. All others are closed, whatever
they look like, so that no spelling of a path slips past."""

_OPEN_FOLDER = "/api/docs-assets/"


def belongs_to_api(path: str) -> bool:
    """True if the API answers a path, not the page."""
    return path.startswith(API_PREFIXES) and any(
        path == prefix or path.startswith(f"{prefix}/") for prefix in API_PREFIXES
    )


def is_open(path: str) -> bool:
    """True if anybody may read a path of the API: health and documentation."""
    return path in OPEN_PATHS or path.startswith(_OPEN_FOLDER)


def is_open_on_page(path: str) -> bool:
    """True if the page's server may answer anybody: all but its figures and its door for programs.

    The page itself does not ask for keys.
    """
    return "/_stcore/metrics" not in path and "/_stcore/agent" not in path


def does_work(path: str) -> bool:
    """True if a request of the API counts for rates: not health, documentation or metrics."""
    return not (is_open(path) or path == "/metrics" or path.startswith("/v2/health/"))
