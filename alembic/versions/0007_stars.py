"""starred pictures"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "stars",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column(
            "starred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("stars_image_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("stars_pkey")),
    )


def downgrade() -> None:
    op.drop_table("stars")
