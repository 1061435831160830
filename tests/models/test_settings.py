"""Settings: what production refuses, by name and without showing it, and what the defaults are."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.settings import Settings
from tests.conftest import run_python

SAFE = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://estilista:clave@db.example/estilista",
    "PUBLIC_BASE_URL": "https://sastre.example",
    "JWT_SECRET": "Zk3-treinta-y-dos-letras-o-muchas-mas",
    "ADMIN_PASSWORD": "una-clave-larga-de-verdad",
    "CORS_ORIGINS": "https://tienda.example",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting at all but the defaults; no .env either."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def with_these(environment: pytest.MonkeyPatch, values: dict[str, str]) -> Settings:
    for name, value in values.items():
        environment.setenv(name, value)
    return Settings()


def test_nothing_needs_to_be_set_in_development(environment: pytest.MonkeyPatch) -> None:
    settings = with_these(environment, {})
    assert settings.environment == "development"
    assert settings.shop_is_open
    assert settings.database_url is None
    assert settings.allowed_origins == ["http://localhost:3000", "http://127.0.0.1:3000"]
    assert (settings.host, settings.token_minutes) == ("127.0.0.1", 30)


def test_production_starts_when_all_is_set_and_its_shop_is_closed(
    environment: pytest.MonkeyPatch,
) -> None:
    settings = with_these(environment, SAFE)
    assert not settings.shop_is_open
    assert settings.allowed_origins == ["https://tienda.example"]


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "PUBLIC_BASE_URL", "JWT_SECRET", "ADMIN_PASSWORD"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_production_names_the_setting_that_is_missing(
    environment: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    values = {key: known for key, known in SAFE.items() if key != name}
    with pytest.raises(ValidationError, match=f"{name} must be set"):
        with_these(environment, values | ({} if value is None else {name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "not-used"),
        ("JWT_SECRET", "corta-de-treinta-y-una-letras-x"),
        ("ADMIN_PASSWORD", "not-used"),
        ("ADMIN_PASSWORD", "Password"),
        ("ADMIN_PASSWORD", "admin"),
        ("ADMIN_PASSWORD", "once-letras"),
    ],
)
def test_production_refuses_weak_and_well_known_secrets_without_showing_them(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        with_these(environment, SAFE | {name: value})
    assert name in str(refused.value)
    assert value not in str(refused.value)


@pytest.mark.parametrize("origins", ["*", "https://*.vercel.app", "https://a.example,*"])
def test_production_wants_exact_origins(environment: pytest.MonkeyPatch, origins: str) -> None:
    with pytest.raises(ValidationError, match="CORS_ORIGINS"):
        with_these(environment, SAFE | {"CORS_ORIGINS": origins})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "prod"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("SHOP_ACCESS", "closed"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("TOKEN_MINUTES", "600"),
        ("ORDERS_PER_MINUTE", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("TRUSTED_PROXY_HOPS", "-1"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError, match=name.lower()):
        with_these(environment, {name: value})


@pytest.mark.parametrize(
    ("environment_name", "access", "open_"),
    [
        ("development", None, True),
        ("development", "token", False),
        ("production", None, False),
        ("production", "open", True),
    ],
)
def test_the_shop_is_closed_by_default_in_production_only(
    environment: pytest.MonkeyPatch, environment_name: str, access: str | None, open_: bool
) -> None:
    values = SAFE | {"ENVIRONMENT": environment_name}
    settings = with_these(environment, values | ({"SHOP_ACCESS": access} if access else {}))
    assert settings.shop_is_open is open_


def test_secrets_that_development_makes_up_are_kept_and_for_its_user_only(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = with_these(environment, {"DATA_DIR": str(tmp_path / "datos")})
    secret, password = settings.signing_secret, settings.owner_password
    assert len(secret) >= 32
    assert len(password) >= 12
    assert secret != password
    again = Settings()
    assert (again.signing_secret, again.owner_password) == (secret, password)
    for path in (tmp_path / "datos").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_no_secret_is_printed(environment: pytest.MonkeyPatch) -> None:
    settings = with_these(environment, SAFE)
    for shown in (repr(settings), str(settings), str(settings.model_dump())):
        for name in ("JWT_SECRET", "ADMIN_PASSWORD", "DATABASE_URL"):
            assert SAFE[name] not in shown


def test_the_api_does_not_start_in_production_with_a_weak_secret() -> None:
    with pytest.raises(AssertionError, match="JWT_SECRET must be set in production"):
        run_python("-c", "import api.main", **SAFE | {"JWT_SECRET": "not-used"})
