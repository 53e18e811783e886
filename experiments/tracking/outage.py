"""What an error of MLflow's, or of a database, means: it is away, it refuses the credentials, or it refuses this one request."""

from __future__ import annotations

import re

import sqlalchemy.exc
from mlflow.exceptions import MlflowException

from ..system.redact import mask_passwords

CONNECTION = (OSError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.PendingRollbackError)
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
    if refuses_request(error):
        return f"MLflow refuses the credentials ({shorten(error)}); set {LOGIN} to those that the server knows."
    if refuses_login(error):
        return f"MLflow's database refuses the credentials ({shorten(error)}); correct them in MLFLOW_TRACKING_URI."
    return f"MLflow: {shorten(error)}"


def shorten(error: Exception) -> str:
    """The error's first line; for a database, the driver's, because SQLAlchemy adds hints and the statement."""
    said = getattr(error.__cause__, "orig", None) or getattr(error, "orig", None) or error
    return mask_passwords((str(said).strip().splitlines() or [type(error).__name__])[0])[:200]
