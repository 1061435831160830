"""tags of fabrics"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    tags = sa.Column("tags", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'"))
    op.add_column("fabrics", tags)


def downgrade() -> None:
    op.drop_column("fabrics", "tags")
