"""looks that are uploaded: the uploads, and where a look's pack is stored"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for column in ("pack_key", "pack_sha256"):
        op.add_column("looks", sa.Column(column, sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("looks_pack_whole_check"), "looks", "(pack_key IS NULL) = (pack_sha256 IS NULL)"
    )
    op.create_table(
        "look_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("pack_key", sa.Text(), nullable=True),
        sa.Column("pack_sha256", sa.Text(), nullable=True),
        sa.Column("pack_version", sa.Text(), nullable=True),
        sa.Column("width_px", sa.BigInteger(), nullable=True),
        sa.Column("height_px", sa.BigInteger(), nullable=True),
        sa.Column("px_per_cm", sa.Float(), nullable=True),
        sa.Column("limits", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("kind IN ('pack', 'photo')", name=op.f("look_uploads_kind_check")),
        sa.CheckConstraint(
            "num_nulls(pack_key, pack_sha256, pack_version, width_px, height_px, px_per_cm)"
            " IN (0, 6)",
            name=op.f("look_uploads_made_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("look_uploads_pkey")),
    )


# Workers of the older code neither have these looks nor can they read such a letter.
CANCEL = """
UPDATE jobs SET status = 'canceled', settled_at = clock_timestamp(), version = version + 1,
       claim = NULL, lease_until = NULL, leader_id = NULL
 WHERE status IN ('pending', 'processing') AND letter->>'look_key' IS NOT NULL
"""


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE generation_id IS NULL AND engine = 'look'")
    op.execute(CANCEL)
    op.execute("DELETE FROM looks WHERE pack_key IS NOT NULL")
    op.drop_table("look_uploads")
    op.drop_constraint(op.f("looks_pack_whole_check"), "looks")
    for column in ("pack_key", "pack_sha256"):
        op.drop_column("looks", column)
