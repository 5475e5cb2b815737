-- The audit of the registry: one chain for each organisation, linked by the database, never changed again.
-- SQLite cannot change a row before it is inserted, so a new one is linked right after; sha256_hex is ours (sqlite.go).
-- +goose Up
CREATE TABLE audit_heads (
    chain text PRIMARY KEY,
    seq   integer NOT NULL,
    hash  text NOT NULL
);

CREATE TABLE audit_entries (
    chain       text NOT NULL,
    seq         integer NOT NULL,
    at          datetime NOT NULL,
    resource_id text NOT NULL,
    subject     text NOT NULL,
    entry       text NOT NULL,
    prev        text NOT NULL,
    hash        text NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_entries_of_resource ON audit_entries (chain, resource_id, seq);

-- +goose StatementBegin
CREATE TRIGGER audit_entries_link AFTER INSERT ON audit_entries BEGIN
    INSERT INTO audit_heads VALUES (NEW.chain, 0, '') ON CONFLICT DO NOTHING;
    UPDATE audit_entries SET
        seq = (SELECT seq + 1 FROM audit_heads WHERE chain = NEW.chain),
        prev = (SELECT hash FROM audit_heads WHERE chain = NEW.chain),
        hash = (SELECT sha256_hex(hash || char(10) || (seq + 1) || char(10) || NEW.entry) FROM audit_heads WHERE chain = NEW.chain)
    WHERE chain = NEW.chain AND seq = NEW.seq;
    UPDATE audit_heads SET (seq, hash) = (SELECT seq, hash FROM audit_entries WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1)
    WHERE chain = NEW.chain;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_keep_changed BEFORE UPDATE ON audit_entries WHEN OLD.hash <> '' BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_keep_deleted BEFORE DELETE ON audit_entries BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_heads_forward BEFORE UPDATE ON audit_heads WHEN NEW.chain <> OLD.chain OR NEW.seq <> OLD.seq + 1 BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_heads_keep_deleted BEFORE DELETE ON audit_heads BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_entries;
DROP TABLE audit_heads;
