"""What an error of MLflow's, or of a database, means: it is away, it refuses the credentials, or it refuses this one request."""

from __future__ import annotations

import re

import requests
import sqlalchemy.exc
from mlflow.exceptions import MlflowException, RestException

from ..system.redact import mask_passwords

CONNECTION = (OSError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.PendingRollbackError)
TRACKING_URI = "MLFLOW_TRACKING_URI"
UNWELL = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
REFUSED = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED")  # HTTP's 401 and 403
# PostgreSQL's and MySQL's drivers give a refused login no code of its own, only the server's message.
REFUSED_LOGIN = re.compile(
    r'authentication failed|role ".*" (does not exist|is not permitted to log in)|no password supplied|no pg_hba.conf entry'
    "|permission denied for database|Access denied for user"
)
LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


def is_away(error: Exception) -> bool:
    """Whether MLflow was unreachable or could not write (no connection, a locked or full database, a full disk).

    A refusal, of an invalid name for example, is something else: a retry would not help.
    """
    if isinstance(error, MlflowException) and error.error_code in UNWELL:
        return True
    # MLflow passes these on, or wraps them as a bad request: errors of requests (they are OSErrors) and of a lost database.
    return isinstance(error, CONNECTION) or isinstance(error.__cause__, CONNECTION)


def refuses_request(error: Exception) -> bool:
    """Whether MLflow's server answered that the credentials are wrong, or that they do not suffice for this request."""
    return isinstance(error, MlflowException) and error.error_code in REFUSED


def refuses_login(error: Exception) -> bool:
    """Whether a database refused the user or the password."""
    found = next((e for e in (error, error.__cause__) if isinstance(e, sqlalchemy.exc.OperationalError)), None)
    return found is not None and REFUSED_LOGIN.search(str(found.orig)) is not None


def explain(error: Exception) -> str:
    """The line for an error of MLflow's that ends a command."""
    if refuses_request(error) or _find_broken(error) is not None:
        found, repair = explain_server(error, TRACKING_URI)
        return f"MLflow {found}; {repair}."
    if refuses_login(error):
        return f"MLflow's database refuses the credentials ({shorten(error)}); correct them in {TRACKING_URI}."
    return f"MLflow: {shorten(error)}"


def explain_server(error: Exception, setting: str) -> tuple[str, str]:
    """What an error of MLflow's server says of it, and what to repair; `setting` names the server."""
    broken = _find_broken(error)
    if isinstance(broken, requests.exceptions.SSLError):
        repair = "name the server's own certificate in MLFLOW_TRACKING_SERVER_CERT_PATH, or write http:// if it speaks no TLS"
        return f"has no certificate that is trusted here ({shorten(error)})", repair
    if broken is not None and not isinstance(broken, requests.exceptions.RetryError):
        return f"cannot be reached ({shorten(error)})", f"start the server, or correct the host and port in {setting}"
    if isinstance(error, MlflowException) and error.error_code == "PERMISSION_DENIED":  # it knows who asks
        repair = "ask its owner or the server's administrator for the right to EDIT it, or take another --name or --to"
        return f"does not permit this ({shorten(error)})", repair
    if refuses_request(error):
        return f"refuses the credentials ({shorten(error)})", f"set {LOGIN} to those that the server knows"
    if broken is not None or (isinstance(error, RestException) and "error_code" in error.json):
        return f"answers with an error ({shorten(error)})", "look at the server's own log"
    return f"answers, but not as MLflow does ({shorten(error)})", f"correct the host and port in {setting}"


def _find_broken(error: Exception) -> requests.RequestException | None:
    """The error of the connection to a server, or of its answer, if it is one; MLflow names it as no cause."""
    return next((one for one in (error, error.__context__) if isinstance(one, requests.RequestException)), None)


def shorten(error: Exception) -> str:
    """The error's first line; of a database the driver's, of a connection the system's: the libraries only add to these."""
    if (below := _find_broken(error)) is not None:
        return mask_passwords(_find_root(below))[:200]
    said = getattr(error.__cause__, "orig", None) or getattr(error, "orig", None) or error
    return mask_passwords((str(said).strip().splitlines() or [type(error).__name__])[0])[:200]


def _find_root(error: BaseException) -> str:
    """What is below the libraries' errors about each other: "Connection refused", "too many 502 error responses"."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
