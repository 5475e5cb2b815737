-- Receipts: what must be receipted (written in the transaction that it tells of), what was signed, what parties said.
-- +goose Up
CREATE TABLE receipt_chains (
    transfer_id      uuid PRIMARY KEY,
    sender           text NOT NULL,
    reference_digest text NOT NULL,
    last             integer NOT NULL,
    signed           integer NOT NULL,
    head             text NOT NULL,
    CHECK (signed <= last)
);
CREATE INDEX receipt_chains_unsigned ON receipt_chains (transfer_id) WHERE signed < last;

CREATE TABLE receipt_entries (
    transfer_id uuid NOT NULL REFERENCES receipt_chains (transfer_id),
    seq         integer NOT NULL,
    recipient   text NOT NULL,
    source      text NOT NULL,
    entry       text NOT NULL,
    PRIMARY KEY (transfer_id, seq)
);
CREATE UNIQUE INDEX receipt_entries_once ON receipt_entries (transfer_id, source) WHERE source <> '';

CREATE TABLE signed_receipts (
    transfer_id uuid NOT NULL,
    seq         integer NOT NULL,
    recipient   text NOT NULL,
    jws         text NOT NULL,
    hash        text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, seq),
    FOREIGN KEY (transfer_id, seq) REFERENCES receipt_entries (transfer_id, seq)
);
CREATE INDEX signed_receipts_of_recipient ON signed_receipts (transfer_id, recipient, seq);

CREATE TABLE statements (
    id          uuid PRIMARY KEY,
    transfer_id uuid NOT NULL REFERENCES transfers (id),
    party       text NOT NULL,
    kind        text NOT NULL,
    status      text NOT NULL,
    text        text NOT NULL,
    sha256      text NOT NULL,
    proof       text NOT NULL,
    actor       text NOT NULL,
    at          timestamptz NOT NULL,
    as_sender   boolean NOT NULL,
    receipt_seq integer
);
CREATE INDEX statements_of_transfer ON statements (transfer_id, party, kind, at);
CREATE INDEX statements_outstanding ON statements (transfer_id) WHERE receipt_seq IS NULL AND kind IN ('mismatch', 'acknowledgement', 'sender-proof');

CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    transfer_id uuid NOT NULL,
    party       text NOT NULL,
    channel     text NOT NULL,
    failed      text NOT NULL,
    at          timestamptz NOT NULL,
    receipt_seq integer,
    FOREIGN KEY (transfer_id, party) REFERENCES recipients (transfer_id, party)
);
CREATE UNIQUE INDEX notifications_once ON notifications (transfer_id, party, channel, (failed = ''));
CREATE INDEX notifications_of_transfer ON notifications (transfer_id, at);
CREATE INDEX notifications_outstanding ON notifications (transfer_id) WHERE receipt_seq IS NULL;

ALTER TABLE staged_contents ADD COLUMN actor text;
ALTER TABLE staged_contents ADD COLUMN permit text;
ALTER TABLE content_accesses ADD COLUMN actor text;
ALTER TABLE content_accesses ADD COLUMN permit text;
ALTER TABLE content_accesses ADD COLUMN noted timestamptz;
ALTER TABLE content_accesses ADD COLUMN receipt_seq integer;
UPDATE content_accesses SET receipt_seq = 0; -- from before there were receipts
CREATE INDEX content_accesses_outstanding ON content_accesses (transfer_id) WHERE receipt_seq IS NULL;

-- +goose Down
DROP INDEX content_accesses_outstanding;
ALTER TABLE content_accesses DROP COLUMN receipt_seq;
ALTER TABLE content_accesses DROP COLUMN noted;
ALTER TABLE content_accesses DROP COLUMN permit;
ALTER TABLE content_accesses DROP COLUMN actor;
ALTER TABLE staged_contents DROP COLUMN permit;
ALTER TABLE staged_contents DROP COLUMN actor;
DROP TABLE notifications;
DROP TABLE statements;
DROP TABLE signed_receipts;
DROP TABLE receipt_entries;
DROP TABLE receipt_chains;
