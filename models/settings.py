"""Settings: the only reader of the environment. A test keeps README.md's table of them complete.

Names are the environment variables in lower case. An empty value means "not set".
"""

import os
import secrets
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
SECRET_MIN_CHARACTERS = 32
R2_ENDPOINT_URL = "https://{}.r2.cloudflarestorage.com"
KNOWN_DEFAULTS = {"not-used", "changeme", "change-me", "secret", "password", "admin"}
EngineName = Literal["drape", "mock", "sdxl_inpaint", "sdxl_full"]
ENGINE_OF_MODE: dict[str, EngineName] = {
    "inpaint": "sdxl_inpaint",
    "full": "sdxl_full",
    "mock": "mock",
}
RECIPE_PREFIXES = (
    "sdxl_",
    "inpaint_",
    "ip_adapter_",
    "controlnet",
    "guidance",
    "total_steps",
    "use_refiner",
    "refiner_",
)
IP_ADAPTER_WEIGHT = "ip-adapter-plus_sdxl_vit-h.safetensors"


@dataclass(frozen=True)
class R2Access:
    """One bucket of Cloudflare R2 and the token that opens it."""

    endpoint_url: str
    access_key_id: SecretStr
    secret_access_key: SecretStr
    bucket_name: str


class Settings(BaseSettings):
    """All settings, typed. Raises ValidationError when production would be unsafe."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    environment: Literal["development", "test", "production"] = "development"
    app_version: str = "0.1.0"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    data_dir: Path = Path("var")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: SecretStr | None = None  # empty: embedded PostgreSQL in data_dir
    database_direct_url: SecretStr | None = None  # for LISTEN and migrations behind a pooler
    database_pooled: bool | None = None  # empty: if a direct URL is set, or the host is Neon's
    database_pool_size: int = Field(default=8, ge=1, le=64)

    public_base_url: str | None = None  # empty: as the request came in
    cors_origins: str = "http://localhost:3000,http://127.0.0.1:3000"
    trusted_proxy_hops: int = Field(default=0, ge=0, le=4)  # X-Forwarded-For entries believed

    admin_password: SecretStr | None = None  # the first owner's; empty: made up in development
    jwt_secret: SecretStr | None = None  # signs sign-in tokens and file links
    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    token_minutes: int = Field(default=30, ge=1, le=60)
    file_link_hours: int = Field(default=24, ge=1, le=168)
    shop_access: Literal["open", "token"] | None = None  # empty: token in production, else open

    orders_per_minute: int = Field(default=60, ge=1)  # per address
    uploads_per_minute: int = Field(default=20, ge=1)  # per address
    queue_cap: int = Field(default=500, ge=1)  # pending jobs beyond which orders are refused
    swatch_hours: int = Field(default=24, ge=1)  # an uploaded swatch can be ordered this long
    max_cuts: int = Field(default=2, ge=1, le=8)
    retention_days: int | None = Field(default=None, ge=1)  # empty: orders are kept

    storage_backend: Literal["local", "r2"] = "local"
    r2_account_id: str | None = None
    r2_access_key_id: SecretStr | None = None
    r2_secret_access_key: SecretStr | None = None
    r2_bucket_name: str | None = None
    r2_endpoint_url: str | None = None  # empty: the account's; set it for a jurisdiction
    r2_public_url: str | None = None  # empty: pictures are private, behind signed links of ours
    watermark_path: Path | None = None
    c2pa_certificate: Path | None = None  # PEM chain, leaf first; empty: pictures are not signed
    c2pa_key: Path | None = None  # its P-256 private key, PEM

    final_engine: EngineName = "drape"
    use_mock_generator: bool = False  # known name from the older system: final and draft are mock
    mock_render_seconds: float = Field(default=0.0, ge=0, le=600)  # for load and crash tests
    poll_seconds: float = Field(default=5.0, gt=0, le=60)
    lease_seconds: float = Field(default=15.0, ge=1, le=600)
    max_attempts: int = Field(default=3, ge=1, le=10)
    share_results: bool = True  # equal orders are rendered once and answered from the stored image
    profile_swatches: bool = True  # idle workers read what swatches show

    # The photoreal engines. Names known from the older system; empty: the profile's own value.
    generator_mode: Literal["inpaint", "full", "mock"] | None = None  # known name of FINAL_ENGINE
    sdxl_profile: Literal["fast", "standard", "best"] = "standard"
    sdxl_compile: bool = False  # torch.compile: minutes at the first start of a kind of card
    weights_dir: Path | None = None  # empty: HF_HOME/weights, or DATA_DIR/weights
    hf_home: Path | None = None
    weights_manifest: Path = ROOT / "assets" / "weights.toml"
    hf_endpoint: str = "https://huggingface.co"  # weights are pulled from here, never at run time
    inpaint_model: str = "sdxl-base"  # an id or a repository of assets/weights.toml
    inpaint_steps: int | None = Field(default=None, ge=1, le=200)  # INPAINT_STRENGTH of them run
    inpaint_strength: float | None = Field(default=None, gt=0, le=1)
    inpaint_guidance: float | None = Field(default=None, ge=1, le=20)
    inpaint_ip_adapter_weight: str | None = None  # file name; a pickle is refused
    inpaint_ip_adapter_scale: float | None = Field(default=None, ge=0, le=2)
    ip_adapter_enabled: bool = True
    ip_adapter_weight: str | None = None  # file name; a pickle is refused
    ip_adapter_scale: float | None = Field(default=None, ge=0, le=2)
    controlnet_enabled: bool = True
    controlnet_weight: float | None = Field(default=None, ge=0, le=2)  # depth
    controlnet2_weight: float | None = Field(default=None, ge=0, le=2)  # edges
    controlnet_guidance_start: float | None = Field(default=None, ge=0, le=1)  # share of the steps
    controlnet_guidance_end: float | None = Field(default=None, ge=0, le=1)
    guidance: float | None = Field(default=None, ge=1, le=20)  # of sdxl_full
    total_steps: int | None = Field(default=None, ge=1, le=200)  # of sdxl_full
    use_refiner: bool = False  # of sdxl_full
    refiner_split: float = Field(default=0.7, gt=0, lt=1)  # the refiner takes over after this share

    @model_validator(mode="after")
    def _refuse_two_final_engines(self) -> Self:
        known = self.generator_mode and ENGINE_OF_MODE[self.generator_mode]
        if known and "final_engine" in self.model_fields_set and known != self.final_engine:
            raise ValueError("GENERATOR_MODE and FINAL_ENGINE name different engines: set one")
        return self

    @model_validator(mode="after")
    def _refuse_pickles(self) -> Self:
        for name in ("inpaint_ip_adapter_weight", "ip_adapter_weight"):
            weight = getattr(self, name)
            if weight is not None and weight != IP_ADAPTER_WEIGHT:
                raise ValueError(f"{name.upper()} is {weight}: only {IP_ADAPTER_WEIGHT} is known")
        return self

    @model_validator(mode="after")
    def _refuse_half_a_signature(self) -> Self:
        if (self.c2pa_certificate is None) != (self.c2pa_key is None):
            raise ValueError("C2PA_CERTIFICATE and C2PA_KEY go together: set both or neither")
        return self

    @model_validator(mode="after")
    def _refuse_a_useless_r2(self) -> Self:
        if self.storage_backend != "r2":
            return self
        if missing := self._missing_for_r2:
            raise ValueError(f"STORAGE_BACKEND=r2 needs {', '.join(missing)} as well")
        host = urlsplit(self.r2_public_url or "").hostname or ""
        if self.environment == "production" and host.endswith(".r2.dev"):
            raise ValueError("R2_PUBLIC_URL must be a domain of yours: r2.dev is throttled")
        return self

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Self:
        if self.environment != "production":
            return self
        for name in ("database_url", "public_base_url"):
            if getattr(self, name) is None:
                raise ValueError(f"{name.upper()} must be set in production")
        for name in ("jwt_secret", "admin_password"):
            _refuse_weak(name.upper(), getattr(self, name))
        if "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS must list exact origins")
        return self

    @property
    def photoreal_recipe(self) -> dict[str, object]:
        """What shapes a photoreal picture; the API and its pods must be given the same."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name.startswith(RECIPE_PREFIXES)
        }

    @property
    def draft_engine(self) -> Literal["drape", "mock"]:
        return "mock" if self.use_mock_generator else "drape"

    @property
    def chosen_final_engine(self) -> EngineName:
        if self.use_mock_generator:
            return "mock"
        return ENGINE_OF_MODE[self.generator_mode] if self.generator_mode else self.final_engine

    @property
    def weights_root(self) -> Path:
        """The folder that holds weights: `<id>/<path in the repository>`."""
        return self.weights_dir or (self.hf_home or self.data_dir) / "weights"

    @property
    def r2_access(self) -> R2Access:
        """Where the bucket is and who we are there. Raises ValueError if R2 is not set up."""
        key, secret, bucket = self.r2_access_key_id, self.r2_secret_access_key, self.r2_bucket_name
        if key is None or secret is None or bucket is None:
            raise ValueError("R2 is not set up")
        endpoint_url = self.r2_endpoint_url or R2_ENDPOINT_URL.format(self.r2_account_id)
        return R2Access(endpoint_url, key, secret, bucket)

    @property
    def _missing_for_r2(self) -> list[str]:
        needed = ["r2_access_key_id", "r2_secret_access_key", "r2_bucket_name"]
        if not self.r2_endpoint_url:
            needed.insert(0, "r2_account_id")
        return [name.upper() for name in needed if _is_unset(getattr(self, name))]

    @property
    def public_files_url(self) -> str | None:
        """Where anybody can read stored files, no slash at the end; None: only through us."""
        public = self.storage_backend == "r2" and self.r2_public_url
        return public.rstrip("/") if public else None

    @property
    def shop_is_open(self) -> bool:
        """True when shop routes need no credential."""
        return (self.shop_access or self._default_shop_access) == "open"

    @property
    def _default_shop_access(self) -> str:
        return "token" if self.environment == "production" else "open"

    @property
    def allowed_origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @cached_property
    def signing_secret(self) -> str:
        """JWT_SECRET, or one made for this data folder and kept in it (never in production)."""
        return self._secret_or_kept(self.jwt_secret, "signing-secret", 48)

    @property
    def owner_password(self) -> str:
        """ADMIN_PASSWORD, or one made for this data folder and kept in it (never in production)."""
        return self._secret_or_kept(self.admin_password, "owner-password", 12)

    def _secret_or_kept(self, given: SecretStr | None, name: str, size_bytes: int) -> str:
        return given.get_secret_value() if given else _kept_secret(self.data_dir / name, size_bytes)


def _is_unset(value: str | SecretStr | None) -> bool:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    return not plain or plain.lower() in KNOWN_DEFAULTS


def _refuse_weak(name: str, secret: SecretStr | None) -> None:
    value = secret.get_secret_value() if secret else ""
    shortest = SECRET_MIN_CHARACTERS if name == "JWT_SECRET" else 12
    if value.lower() in KNOWN_DEFAULTS or len(value) < shortest:
        raise ValueError(f"{name} must be set in production: {shortest} characters or more")


def _kept_secret(path: Path, size_bytes: int) -> str:
    """Read the secret in `path`, making it first if there is none; safe with several processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "x", opener=_owner_only, encoding="ascii") as file:
            file.write(secrets.token_urlsafe(size_bytes))
    except FileExistsError:
        pass
    return path.read_text(encoding="ascii")


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@lru_cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
