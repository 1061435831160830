"""The audit: a trigger in the harness's own database that writes down every move of every job, with
the claim and lease that were on the row at that moment and the process that made the move."""

INSTALL = """
CREATE TABLE chaos_moves (
    seq bigserial PRIMARY KEY,
    asked timestamptz NOT NULL DEFAULT statement_timestamp(),  -- before any wait
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    app text NOT NULL DEFAULT current_setting('application_name'),
    verb text NOT NULL,
    job_id uuid NOT NULL,
    status_before text, status_after text,
    claim_before uuid, claim_after uuid,
    lease_before timestamptz, lease_after timestamptz,
    attempts_before int, attempts_after int,
    settled_by uuid, image_before uuid, image_after uuid, error_code text,
    is_too_late boolean NOT NULL DEFAULT false);
CREATE INDEX ON chaos_moves (job_id);
CREATE INDEX ON chaos_moves (claim_after) WHERE claim_after IS NOT NULL;

CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO chaos_moves (verb, job_id, status_after, claim_after, lease_after,
                                 attempts_after)
        VALUES (TG_OP, NEW.id, NEW.status, NEW.claim, NEW.lease_until, NEW.attempts);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO chaos_moves (verb, job_id, status_before) VALUES (TG_OP, OLD.id, OLD.status);
    ELSE
        INSERT INTO chaos_moves (verb, job_id, status_before, status_after, claim_before,
                                 claim_after, lease_before, lease_after, attempts_before,
                                 attempts_after, settled_by, image_before, image_after, error_code,
                                 is_too_late)
        VALUES (TG_OP, NEW.id, OLD.status, NEW.status, OLD.claim, NEW.claim, OLD.lease_until,
                NEW.lease_until, OLD.attempts, NEW.attempts, NEW.settled_by, OLD.image_id,
                NEW.image_id, NEW.error_code,
                coalesce(NEW.deadline < clock_timestamp(), false));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note AFTER INSERT OR UPDATE OR DELETE ON jobs
    FOR EACH ROW EXECUTE FUNCTION chaos_note();

-- Each claim when it was taken, and by whom.
CREATE VIEW chaos_claims AS
SELECT claim_after AS claim, job_id, app, at, seq, lease_after, status_before
  FROM chaos_moves
 WHERE claim_after IS NOT NULL AND claim_after IS DISTINCT FROM claim_before;

-- Each move of a claimed job, beside whoever had the claim.
CREATE VIEW chaos_held AS
SELECT m.*, c.app AS holder, c.at AS claimed_at,
       coalesce(m.error_code = 'worker-lost' AND m.lease_before < m.at, false) AS is_lapse,
       m.status_after = 'canceled' AND (m.app = 'client' OR m.is_too_late) AS is_cancel
  FROM chaos_moves m LEFT JOIN chaos_claims c ON c.claim = m.claim_before
 WHERE m.claim_before IS NOT NULL;
"""

CATALOGUE = """
INSERT INTO fabric_families (family_id, display_name) VALUES ('lana', 'Lana');
INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value)
SELECT id, 'gris', 'Gris', '#808080' FROM fabric_families;
INSERT INTO looks (cut, name, pack, pack_version, width_px, height_px, px_per_cm)
SELECT 'corte-' || n, 'Corte ' || n, 'corte-' || n, '1', 64, 96, 1 FROM generate_series(1, 8) n;
"""
