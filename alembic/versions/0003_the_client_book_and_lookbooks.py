"""the client book and lookbooks"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column(
            "consented_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("consent_withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
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
            "consent_withdrawn_at >= consented_at", name=op.f("clients_consent_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("clients_pkey")),
    )
    op.create_index(op.f("clients_folded"), "clients", ["folded"], unique=False)
    op.create_table(
        "doomed_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column(
            "doomed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("object_key", name=op.f("doomed_objects_pkey")),
    )
    op.create_table(
        "lookbooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
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
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("lookbooks_client_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("lookbooks_pkey")),
    )
    op.create_index(op.f("lookbooks_client_id"), "lookbooks", ["client_id"], unique=False)
    op.create_table(
        "client_looks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("attached_by", sa.Text(), nullable=False),
        sa.Column(
            "attached_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["clients.id"],
            name=op.f("client_looks_client_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name=op.f("client_looks_generation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("client_looks_pkey")),
    )
    op.create_index(
        op.f("client_looks_generation_id"), "client_looks", ["generation_id"], unique=False
    )
    op.create_index(
        "client_looks_once", "client_looks", ["client_id", "generation_id"], unique=True
    )
    op.create_table(
        "lookbook_shares",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lookbook_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lookbook_id"],
            ["lookbooks.id"],
            name=op.f("lookbook_shares_lookbook_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("lookbook_shares_pkey")),
    )
    op.create_index(
        op.f("lookbook_shares_lookbook_id"), "lookbook_shares", ["lookbook_id"], unique=False
    )
    op.create_table(
        "lookbook_pages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("lookbook_id", sa.Uuid(), nullable=False),
        sa.Column("look_id", sa.BigInteger(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["look_id"],
            ["client_looks.id"],
            name=op.f("lookbook_pages_look_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["lookbook_id"],
            ["lookbooks.id"],
            name=op.f("lookbook_pages_lookbook_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("lookbook_pages_pkey")),
    )
    op.create_index(op.f("lookbook_pages_look_id"), "lookbook_pages", ["look_id"], unique=False)
    op.create_index(
        "lookbook_pages_once", "lookbook_pages", ["lookbook_id", "look_id", "cut"], unique=True
    )
    op.create_table(
        "lookbook_comments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column(
            "written_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["lookbook_pages.id"],
            name=op.f("lookbook_comments_page_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["share_id"],
            ["lookbook_shares.id"],
            name=op.f("lookbook_comments_share_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("lookbook_comments_pkey")),
    )
    op.create_index(
        op.f("lookbook_comments_page_id"), "lookbook_comments", ["page_id"], unique=False
    )
    op.create_index(
        op.f("lookbook_comments_share_id"), "lookbook_comments", ["share_id"], unique=False
    )
    op.create_table(
        "lookbook_hearts",
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["lookbook_pages.id"],
            name=op.f("lookbook_hearts_page_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["share_id"],
            ["lookbook_shares.id"],
            name=op.f("lookbook_hearts_share_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("share_id", "page_id", name=op.f("lookbook_hearts_pkey")),
    )
    op.create_index(op.f("lookbook_hearts_page_id"), "lookbook_hearts", ["page_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("lookbook_hearts_page_id"), table_name="lookbook_hearts")
    op.drop_table("lookbook_hearts")
    op.drop_index(op.f("lookbook_comments_share_id"), table_name="lookbook_comments")
    op.drop_index(op.f("lookbook_comments_page_id"), table_name="lookbook_comments")
    op.drop_table("lookbook_comments")
    op.drop_index("lookbook_pages_once", table_name="lookbook_pages")
    op.drop_index(op.f("lookbook_pages_look_id"), table_name="lookbook_pages")
    op.drop_table("lookbook_pages")
    op.drop_index(op.f("lookbook_shares_lookbook_id"), table_name="lookbook_shares")
    op.drop_table("lookbook_shares")
    op.drop_index("client_looks_once", table_name="client_looks")
    op.drop_index(op.f("client_looks_generation_id"), table_name="client_looks")
    op.drop_table("client_looks")
    op.drop_index(op.f("lookbooks_client_id"), table_name="lookbooks")
    op.drop_table("lookbooks")
    op.drop_table("doomed_objects")
    op.drop_index(op.f("clients_folded"), table_name="clients")
    op.drop_table("clients")
