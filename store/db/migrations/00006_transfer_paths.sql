-- What a service wants computed of its files, whose uploads are running, and what was served to whom.
-- +goose Up
ALTER TABLE resources ADD COLUMN compute_md5 boolean NOT NULL DEFAULT true;
ALTER TABLE transfers ADD COLUMN compute_md5 boolean NOT NULL DEFAULT true;

-- Whose the attempt is; empty for those that an older version began. Few of a party's attempts have a lease
-- in the future, so counting them reads few entries of the index.
ALTER TABLE upload_attempts ADD COLUMN party text NOT NULL DEFAULT '';
CREATE INDEX upload_attempts_of_party ON upload_attempts (party, lease_until) WHERE ended IS NULL;

-- What all accesses of a recipient come to: content_accesses has a row for each of them, this one for all.
CREATE TABLE served_contents (
    transfer_id uuid NOT NULL,
    party       text NOT NULL,
    ranges      text NOT NULL,
    bytes       bigint NOT NULL CHECK (bytes >= 0),
    complete    boolean NOT NULL,
    updated     timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, party),
    FOREIGN KEY (transfer_id, party) REFERENCES recipients (transfer_id, party)
);

-- +goose Down
DROP TABLE served_contents;
DROP INDEX upload_attempts_of_party;
ALTER TABLE upload_attempts DROP COLUMN party;
ALTER TABLE transfers DROP COLUMN compute_md5;
ALTER TABLE resources DROP COLUMN compute_md5;
