"""A Django site in one file: a form starts a collection and is answered at once, a page follows it, a link has the end.

COLLECTOR_TOKEN=$(cat /var/lib/collector/token) python examples/django_view/site.py runserver
"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from collector import Client, Refused, Unreachable

SOURCE = os.environ.get("COLLECTOR_SOURCE", "posts")
FORM = """<form method="post">{% csrf_token %}<textarea name="ids"></textarea><button>Collect</button></form>"""
PROGRESS = """{% if not now.ended %}<meta http-equiv="refresh" content="2">{% endif %}
<p>Collection {{ now.id }} is {{ now.state }}: {{ now.jobs.found }} of {{ now.jobs.total }} found.</p>
{% if now.ended %}<a href="{% url 'result' now.id %}">Result</a>{% endif %}"""

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or secrets.token_hex(32),
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=__name__,
        DATA_UPLOAD_MAX_MEMORY_SIZE=50_000_000,
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            f"{__name__}.PlainErrors",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )


def service() -> Client:
    """The collector of this machine; it waits for no answer longer than somebody in front of a browser."""
    url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:8090")
    return Client(url, os.environ["COLLECTOR_TOKEN"], timeout=15)


@require_http_methods(["GET", "POST"])
def collect(request: HttpRequest) -> HttpResponse:
    """Takes IDs, one a line, and leads to their progress: nothing is asked for while somebody waits."""
    if request.method == "GET":
        return page(request, FORM)
    ids = [line.strip() for line in request.POST["ids"].splitlines() if line.strip()]
    return redirect("progress", service().submit(SOURCE, ids, name="site"))


@require_GET
def progress(request: HttpRequest, batch: int) -> HttpResponse:
    """How far it is, as a page that looks again by itself or, with `?json`, for a script."""
    now = service().status(batch)
    if "json" in request.GET:
        return JsonResponse({"id": now.id, "state": now.state, "ended": now.ended, "jobs": now.jobs})
    return page(request, PROGRESS, now=now)


@require_GET
def result(request: HttpRequest, batch: int) -> HttpResponseBase:
    """What was found, a line at a time, however much it is."""
    if not service().status(batch).ended:
        return redirect("progress", batch)
    return StreamingHttpResponse(lines(batch), content_type="application/jsonl")


def lines(batch: int) -> Iterator[str]:
    """One JSON object a line."""
    for found in service().results(batch):
        yield json.dumps(found) + "\n"


def page(request: HttpRequest, template: str, **known: object) -> HttpResponse:
    """A template of this file."""
    return HttpResponse(engines["django"].from_string(template).render(known, request))


class PlainErrors:
    """Where the collector cannot be reached, or refuses, its sentence is the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django for what a view raised."""
        if isinstance(error, Refused):
            return HttpResponse(
                str(error), status=error.status if error.status < 500 else 503, content_type="text/plain"
            )
        if isinstance(error, Unreachable):
            return HttpResponse("Collecting is not possible now: try again later.", status=503)
        return None


urlpatterns = [
    path("", collect, name="collect"),
    path("<int:batch>/", progress, name="progress"),
    path("<int:batch>/result", result, name="result"),
]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
