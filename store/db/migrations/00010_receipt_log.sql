-- The log: one append-only Merkle tree over all receipts and the heads of the registry's audit. Its tiles are objects.
-- +goose Up
CREATE TABLE log_states (
    id   integer PRIMARY KEY CHECK (id = 1),
    size bigint NOT NULL
);
INSERT INTO log_states VALUES (1, 0);

CREATE TABLE log_pendings (
    kind             text NOT NULL,
    subject          text NOT NULL,
    seq              bigint NOT NULL,
    hash             text NOT NULL,
    sender           text NOT NULL,
    recipient        text NOT NULL,
    reference_digest text NOT NULL,
    PRIMARY KEY (kind, subject, seq)
);

CREATE TABLE log_leaves (
    idx              bigint PRIMARY KEY,
    kind             text NOT NULL,
    subject          text NOT NULL,
    seq              bigint NOT NULL,
    hash             text NOT NULL,
    sender           text NOT NULL,
    recipient        text NOT NULL,
    reference_digest text NOT NULL,
    UNIQUE (kind, subject, seq)
);
CREATE INDEX log_leaves_of_sender ON log_leaves (sender, idx) WHERE sender <> '';
CREATE INDEX log_leaves_of_recipient ON log_leaves (recipient, idx) WHERE recipient <> '';
CREATE INDEX log_leaves_of_reference ON log_leaves (sender, reference_digest, idx) WHERE sender <> '';

CREATE INDEX log_leaves_by_hash ON log_leaves (hash);

CREATE TABLE log_audits (
    chain text PRIMARY KEY,
    seq   bigint NOT NULL
);

CREATE TABLE log_checkpoints (
    size bigint PRIMARY KEY,
    root text NOT NULL,
    note text NOT NULL,
    at   timestamptz NOT NULL
);

-- +goose Down
DROP TABLE log_checkpoints;
DROP TABLE log_audits;
DROP TABLE log_leaves;
DROP TABLE log_pendings;
DROP TABLE log_states;
