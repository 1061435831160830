"""profiles of swatches, and jobs without an order that read them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

SWATCH = {"fabrics": "swatch_key", "swatches": "object_key"}
FORGET = """
CREATE FUNCTION forget_profile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.profile := NULL; RETURN NEW; END $$
"""
# Whoever gives a fabric another swatch, by whatever path: its profile was the old one's.
FORGETS = """
CREATE TRIGGER fabrics_profile BEFORE UPDATE OF swatch_sha256, swatch_kind, swatch_width_mm ON fabrics
   FOR EACH ROW WHEN ((OLD.swatch_sha256, OLD.swatch_kind, OLD.swatch_width_mm)
                      IS DISTINCT FROM (NEW.swatch_sha256, NEW.swatch_kind, NEW.swatch_width_mm))
   EXECUTE FUNCTION forget_profile()
"""


def upgrade() -> None:
    for table, swatch in SWATCH.items():
        op.add_column(table, sa.Column("profile", JSONB(), nullable=True))
        op.create_check_constraint(
            op.f(f"{table}_profile_check"),
            table,
            f"profile IS NULL OR ({swatch} IS NOT NULL"
            " AND coalesce(jsonb_typeof(profile->'ground') = 'object'"
            " AND jsonb_typeof(profile->'weave') = 'string', false))",
        )
    op.execute(FORGET)
    op.execute(FORGETS)
    for column in ("generation_id", "cut", "stage"):
        op.alter_column("jobs", column, nullable=True)
    op.create_check_constraint(
        op.f("jobs_order_check"), "jobs", "num_nulls(generation_id, cut, stage) IN (0, 3)"
    )
    op.create_index(
        "jobs_profiles",
        "jobs",
        ["fingerprint"],
        unique=True,
        postgresql_where=sa.text("generation_id IS NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE generation_id IS NULL")
    op.drop_index("jobs_profiles", "jobs")
    op.drop_constraint(op.f("jobs_order_check"), "jobs")
    for column in ("generation_id", "cut", "stage"):
        op.alter_column("jobs", column, nullable=False)
    op.execute("DROP TRIGGER fabrics_profile ON fabrics")
    op.execute("DROP FUNCTION forget_profile()")
    for table in SWATCH:
        op.drop_constraint(op.f(f"{table}_profile_check"), table)
        op.drop_column(table, "profile")
