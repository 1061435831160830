"""what a cloth is: mill, composition, weight, pattern"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("fabrics", sa.Column("mill", sa.Text(), nullable=True))
    op.add_column("fabrics", sa.Column("composition", sa.Text(), nullable=True))
    op.add_column("fabrics", sa.Column("weight_g_m2", sa.BigInteger(), nullable=True))
    op.add_column("fabrics", sa.Column("pattern", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("fabrics_weight_g_m2_check"), "fabrics", "weight_g_m2 > 0")
    op.create_check_constraint(
        op.f("fabrics_pattern_check"),
        "fabrics",
        "pattern IN ('plain', 'stripe', 'check', 'texture')",
    )


def downgrade() -> None:
    for name in ("pattern", "weight_g_m2", "composition", "mill"):
        op.drop_column("fabrics", name)
