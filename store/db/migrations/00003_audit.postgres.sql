-- The audit of the registry: one chain for each organisation, linked by the database, never changed again.
-- +goose Up
CREATE TABLE audit_heads (
    chain text PRIMARY KEY,
    seq   bigint NOT NULL,
    hash  text NOT NULL
);

CREATE TABLE audit_entries (
    chain       text NOT NULL,
    seq         bigint NOT NULL,
    at          timestamptz NOT NULL,
    resource_id text NOT NULL,
    subject     text NOT NULL,
    entry       text NOT NULL,
    prev        text NOT NULL,
    hash        text NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_entries_of_resource ON audit_entries (chain, resource_id, seq);

-- +goose StatementBegin
CREATE FUNCTION link_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_heads VALUES (NEW.chain, 0, '') ON CONFLICT DO NOTHING;
    SELECT seq + 1, hash INTO NEW.seq, NEW.prev FROM audit_heads WHERE chain = NEW.chain FOR UPDATE;
    NEW.hash := encode(sha256(convert_to(NEW.prev || chr(10) || NEW.seq || chr(10) || NEW.entry, 'UTF8')), 'hex');
    UPDATE audit_heads SET seq = NEW.seq, hash = NEW.hash WHERE chain = NEW.chain;
    RETURN NEW;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_entries_link BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION link_audit_entry();
CREATE TRIGGER audit_entries_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads FOR EACH ROW
WHEN (NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1) EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_heads_keep BEFORE DELETE OR TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- +goose Down
DROP TABLE audit_entries;
DROP TABLE audit_heads;
DROP FUNCTION link_audit_entry;
DROP FUNCTION refuse_audit_change;
