"""orders in detail"""

from alembic import op

revision = "0013"
down_revision = "0012"
CHECK = "generations_quality_check"


def upgrade() -> None:
    op.drop_constraint(op.f(CHECK), "generations", type_="check")
    allowed = "quality IN ('preview', 'final', 'detail')"
    op.create_check_constraint(op.f(CHECK), "generations", allowed)


def downgrade() -> None:
    op.execute("UPDATE generations SET quality = 'final' WHERE quality = 'detail'")
    op.drop_constraint(op.f(CHECK), "generations", type_="check")
    op.create_check_constraint(op.f(CHECK), "generations", "quality IN ('preview', 'final')")
