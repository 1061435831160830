"""the house"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bulks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("bulks_pkey")),
    )
    op.create_table(
        "engine_modes",
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column(
            "set_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("mode IN ('paused', 'draining')", name=op.f("engine_modes_mode_check")),
        sa.PrimaryKeyConstraint("engine", name=op.f("engine_modes_pkey")),
    )
    op.create_table(
        "fabric_families",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("family_id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("sort", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lora_id", sa.Text(), nullable=True),
        sa.Column("default_recipe", sa.Text(), nullable=True),
        sa.Column("preview_key", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('active', 'inactive')", name=op.f("fabric_families_status_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("fabric_families_pkey")),
        sa.UniqueConstraint("family_id", name=op.f("fabric_families_family_id_key")),
    )
    op.create_table(
        "hits",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "window_ends_at", name=op.f("hits_pkey")),
    )
    op.create_index(op.f("hits_window_ends_at"), "hits", ["window_ends_at"], unique=False)
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("noise_seed", sa.BigInteger(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("engine_version", sa.Text(), nullable=False),
        sa.Column("recipe", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("degraded", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("timings_ms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("watermarked", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("images_sha256_check")),
        sa.CheckConstraint(
            "width_px > 0 AND height_px > 0 AND size_bytes > 0", name=op.f("images_size_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("images_pkey")),
        sa.UniqueConstraint("object_key", name=op.f("images_object_key_key")),
    )
    op.create_index(op.f("images_fingerprint"), "images", ["fingerprint"], unique=False)
    op.create_table(
        "looks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Text(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("px_per_cm", sa.Double(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("sort", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('active', 'inactive')", name=op.f("looks_status_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("looks_pkey")),
        sa.UniqueConstraint("cut", name=op.f("looks_cut_key")),
    )
    op.create_table(
        "swatches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("width_mm", sa.Double(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("width_mm > 0", name=op.f("swatches_width_mm_check")),
        sa.CheckConstraint("width_px > 0 AND height_px > 0", name=op.f("swatches_size_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("swatches_pkey")),
        sa.UniqueConstraint("object_key", name=op.f("swatches_object_key_key")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role IN ('owner', 'merchandiser', 'stylist', 'ops', 'viewer')",
            name=op.f("users_role_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("username", name=op.f("users_username_key")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("engines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("workers_pkey")),
    )
    op.create_index(op.f("workers_last_seen_at"), "workers", ["last_seen_at"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("api_tokens_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_tokens_pkey")),
        sa.UniqueConstraint("token_sha256", name=op.f("api_tokens_token_sha256_key")),
    )
    op.create_table(
        "fabrics",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("fabric_family_id", sa.BigInteger(), nullable=False),
        sa.Column("color_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hex_value", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("swatch_code", sa.Text(), nullable=True),
        sa.Column("swatch_key", sa.Text(), nullable=True),
        sa.Column("swatch_sha256", sa.Text(), nullable=True),
        sa.Column("swatch_kind", sa.Text(), nullable=True),
        sa.Column("swatch_width_mm", sa.Double(), nullable=True),
        sa.Column("thumbnail_key", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("hex_value ~ '^#[0-9A-F]{6}$'", name=op.f("fabrics_hex_value_check")),
        sa.CheckConstraint("status IN ('active', 'inactive')", name=op.f("fabrics_status_check")),
        sa.CheckConstraint(
            "swatch_kind IN ('tile', 'photo')", name=op.f("fabrics_swatch_kind_check")
        ),
        sa.CheckConstraint(
            "(swatch_key IS NULL) = (swatch_sha256 IS NULL) AND (swatch_key IS NULL) = (swatch_kind IS NULL)",
            name=op.f("fabrics_swatch_whole_check"),
        ),
        sa.CheckConstraint("swatch_width_mm > 0", name=op.f("fabrics_swatch_width_mm_check")),
        sa.ForeignKeyConstraint(
            ["fabric_family_id"], ["fabric_families.id"], name=op.f("fabrics_fabric_family_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("fabrics_pkey")),
        sa.UniqueConstraint("color_id", name=op.f("fabrics_color_id_key")),
    )
    op.create_index(op.f("fabrics_fabric_family_id"), "fabrics", ["fabric_family_id"], unique=False)
    op.create_index(
        "fabrics_swatch_key",
        "fabrics",
        ["swatch_key"],
        unique=False,
        postgresql_where=sa.text("swatch_key IS NOT NULL"),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_sha256", sa.Text(), nullable=True),
        sa.Column("family_id", sa.Text(), nullable=False),
        sa.Column("color_id", sa.Text(), nullable=False),
        sa.Column("fabric_name", sa.Text(), nullable=False),
        sa.Column("fabric_hex", sa.Text(), nullable=False),
        sa.Column("swatch_key", sa.Text(), nullable=True),
        sa.Column("uploaded_swatch", sa.Boolean(), nullable=False),
        sa.Column("cuts", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("noise_seed", sa.BigInteger(), nullable=False),
        sa.Column("bulk_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "quality IN ('preview', 'final')", name=op.f("generations_quality_check")
        ),
        sa.CheckConstraint(
            "(idempotency_key IS NULL) = (request_sha256 IS NULL)",
            name=op.f("generations_idempotency_check"),
        ),
        sa.CheckConstraint("cardinality(cuts) >= 1", name=op.f("generations_cuts_check")),
        sa.CheckConstraint(
            "noise_seed BETWEEN 0 AND 4294967295", name=op.f("generations_noise_seed_check")
        ),
        sa.ForeignKeyConstraint(
            ["bulk_id"], ["bulks.id"], name=op.f("generations_bulk_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("generations_pkey")),
        sa.UniqueConstraint("number", name=op.f("generations_number_key")),
    )
    op.create_index(
        "generations_bulk",
        "generations",
        ["bulk_id"],
        unique=False,
        postgresql_where=sa.text("bulk_id IS NOT NULL"),
    )
    op.create_index(
        "generations_fabric", "generations", ["family_id", "color_id", "id"], unique=False
    )
    op.create_index(
        "generations_idempotency_key", "generations", ["owner", "idempotency_key"], unique=True
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("letter", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("turn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("leader_id", sa.Uuid(), nullable=True),
        sa.Column(
            "run_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("releases", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("progress", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'completed') = (image_id IS NOT NULL) AND (status <> 'completed' OR settled_by IS NOT NULL)",
            name=op.f("jobs_completed_check"),
        ),
        sa.CheckConstraint(
            "(status = 'failed') <= (error_code IS NOT NULL)", name=op.f("jobs_failed_check")
        ),
        sa.CheckConstraint(
            "(status = 'processing') = (claim IS NOT NULL)", name=op.f("jobs_claimed_check")
        ),
        sa.CheckConstraint(
            "(status IN ('completed','failed','canceled','expired')) = (settled_at IS NOT NULL)",
            name=op.f("jobs_settled_check"),
        ),
        sa.CheckConstraint("stage IN ('draft', 'final')", name=op.f("jobs_stage_check")),
        sa.CheckConstraint(
            "status IN ('pending','processing','completed','failed','canceled','expired')",
            name=op.f("jobs_status_check"),
        ),
        sa.CheckConstraint(
            "(claim IS NULL) = (lease_until IS NULL)", name=op.f("jobs_leased_check")
        ),
        sa.CheckConstraint("attempts BETWEEN 0 AND max_attempts", name=op.f("jobs_attempts_check")),
        sa.CheckConstraint("claim IS NULL OR leader_id IS NULL", name=op.f("jobs_leader_check")),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("jobs_progress_check")),
        sa.CheckConstraint("releases >= 0", name=op.f("jobs_releases_check")),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name=op.f("jobs_generation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("jobs_image_id_fkey")),
        sa.ForeignKeyConstraint(
            ["leader_id"], ["jobs.id"], name=op.f("jobs_leader_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("jobs_pkey")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "jobs_claim", "jobs", ["claim"], unique=True, postgresql_where=sa.text("claim IS NOT NULL")
    )
    op.create_index(
        "jobs_deadline",
        "jobs",
        ["deadline"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' AND deadline IS NOT NULL"),
    )
    op.create_index(
        "jobs_fingerprint",
        "jobs",
        ["fingerprint"],
        unique=False,
        postgresql_using="hash",
        postgresql_where=sa.text("status = 'pending' AND leader_id IS NULL"),
    )
    op.create_index(
        "jobs_followers",
        "jobs",
        ["leader_id"],
        unique=False,
        postgresql_where=sa.text("leader_id IS NOT NULL"),
    )
    op.create_index("jobs_generation", "jobs", ["generation_id", "cut", "stage"], unique=True)
    op.create_index(
        "jobs_image",
        "jobs",
        ["image_id"],
        unique=False,
        postgresql_where=sa.text("image_id IS NOT NULL"),
    )
    op.create_index(
        "jobs_pending",
        "jobs",
        ["engine", sa.text("priority DESC"), "turn_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending' AND leader_id IS NULL"),
    )
    op.create_index(
        "jobs_turns",
        "jobs",
        ["owner", "engine", "turn_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL AND claim IS NULL"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "verb IN ('retry','fail','release','expire','cancel')", name=op.f("attempts_verb_check")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("attempts_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attempts_pkey")),
    )
    op.create_index(op.f("attempts_ended_at"), "attempts", ["ended_at"], unique=False)
    op.create_index(op.f("attempts_job_id"), "attempts", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("attempts_job_id"), table_name="attempts")
    op.drop_index(op.f("attempts_ended_at"), table_name="attempts")
    op.drop_table("attempts")
    op.drop_index(
        "jobs_turns",
        table_name="jobs",
        postgresql_where=sa.text("settled_at IS NULL AND claim IS NULL"),
    )
    op.drop_index(
        "jobs_pending",
        table_name="jobs",
        postgresql_where=sa.text("status = 'pending' AND leader_id IS NULL"),
    )
    op.drop_index("jobs_image", table_name="jobs", postgresql_where=sa.text("image_id IS NOT NULL"))
    op.drop_index("jobs_generation", table_name="jobs")
    op.drop_index(
        "jobs_followers", table_name="jobs", postgresql_where=sa.text("leader_id IS NOT NULL")
    )
    op.drop_index(
        "jobs_fingerprint",
        table_name="jobs",
        postgresql_where=sa.text("status = 'pending' AND leader_id IS NULL"),
    )
    op.drop_index(
        "jobs_deadline",
        table_name="jobs",
        postgresql_where=sa.text("status = 'pending' AND deadline IS NOT NULL"),
    )
    op.drop_index("jobs_claim", table_name="jobs", postgresql_where=sa.text("claim IS NOT NULL"))
    op.drop_table("jobs")
    op.drop_index("generations_idempotency_key", table_name="generations")
    op.drop_index("generations_fabric", table_name="generations")
    op.drop_index(
        "generations_bulk",
        table_name="generations",
        postgresql_where=sa.text("bulk_id IS NOT NULL"),
    )
    op.drop_table("generations")
    op.drop_index(
        "fabrics_swatch_key",
        table_name="fabrics",
        postgresql_where=sa.text("swatch_key IS NOT NULL"),
    )
    op.drop_index(op.f("fabrics_fabric_family_id"), table_name="fabrics")
    op.drop_table("fabrics")
    op.drop_table("api_tokens")
    op.drop_index(op.f("workers_last_seen_at"), table_name="workers")
    op.drop_table("workers")
    op.drop_table("users")
    op.drop_table("swatches")
    op.drop_table("looks")
    op.drop_index(op.f("images_fingerprint"), table_name="images")
    op.drop_table("images")
    op.drop_index(op.f("hits_window_ends_at"), table_name="hits")
    op.drop_table("hits")
    op.drop_table("fabric_families")
    op.drop_table("engine_modes")
    op.drop_table("bulks")
