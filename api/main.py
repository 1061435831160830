"""The application: routes, limits and headers put together. `uvicorn api.main:app` serves it."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api import (
    admin,
    auth,
    catalogue,
    clients,
    details,
    fabrics,
    files,
    generations,
    health,
    lookbooks,
    operations,
    previews,
    provenance,
    shop,
    stars,
    swatches,
    thumbnails,
)
from api.body_limit import BodyLimit
from api.document import DocumentedApp
from api.envelope import Envelope
from api.errors import LastResort, add_error_handlers
from api.language import Speaking
from api.pages import clients as client_pages
from api.pages import (
    clients_lookbooks,
    clients_shared,
    console_catalogue,
    console_import,
    console_looks,
    console_operations,
    console_orders,
    console_people,
    floor,
    gallery,
    sign_in,
)
from api.startup import lifespan
from models.logs import start_logging
from models.settings import settings

MODULES = (
    generations,  # routes are tried in this order: what is polled comes first
    shop,
    floor,
    gallery,
    stars,
    details,
    thumbnails,
    previews,
    provenance,
    swatches,
    files,
    auth,
    catalogue,
    fabrics,
    admin,
    health,
    operations,
    clients,
    lookbooks,
    sign_in,
    console_orders,
    console_catalogue,
    console_import,
    console_looks,
    console_operations,
    console_people,
    client_pages,
    clients_lookbooks,
    clients_shared,
)


def create_app() -> FastAPI:
    """The whole application, configured by the settings."""
    start_logging()
    app = DocumentedApp(
        title="Estilista virtual",
        version=settings().app_version,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # an address with a slash too many does not exist
    )
    add_error_handlers(app)
    for module in MODULES:
        app.include_router(module.router)
    app.add_middleware(LastResort)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings().allowed_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[
            "Authorization",
            "Cancel-After",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
        ],
        expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
    )
    app.add_middleware(Speaking)
    app.add_middleware(Envelope)
    return app


app = create_app()
