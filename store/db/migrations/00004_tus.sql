-- Uploads whose bytes come in several requests: facts of the data plane, which decide nothing until their content
-- is staged as that of any other upload attempt.
-- +goose Up
CREATE TABLE tus_uploads (
    id           uuid PRIMARY KEY REFERENCES upload_attempts (id),
    transfer_id  uuid NOT NULL REFERENCES transfers (id),
    part         boolean NOT NULL,
    joins        text NOT NULL,
    number       integer NOT NULL,
    length       bigint CHECK (length >= 0),
    received     bigint NOT NULL CHECK (received >= 0),
    epoch        bigint NOT NULL,
    sha256_state bytea NOT NULL,
    md5_state    bytea NOT NULL,
    no_md5       boolean NOT NULL,
    crc32c       bigint NOT NULL,
    metadata     text NOT NULL,
    opened_by    text NOT NULL,
    opened       timestamptz NOT NULL,
    expires      timestamptz NOT NULL,
    completed    timestamptz,
    ended        timestamptz,
    CHECK (length IS NULL OR received <= length),
    CHECK (completed IS NULL OR received = length)
);
CREATE UNIQUE INDEX tus_uploads_one ON tus_uploads (transfer_id) WHERE NOT part AND ended IS NULL;
CREATE UNIQUE INDEX tus_uploads_parts ON tus_uploads (transfer_id, number) WHERE part;
CREATE INDEX tus_uploads_open ON tus_uploads (expires) WHERE ended IS NULL;

CREATE TABLE tus_segments (
    upload_id uuid NOT NULL REFERENCES tus_uploads (id),
    first     bigint NOT NULL,
    name      text NOT NULL,
    size      bigint NOT NULL CHECK (size > 0),
    crc32c    bigint NOT NULL,
    PRIMARY KEY (upload_id, first)
);

CREATE TABLE tus_digests (
    transfer_id  uuid PRIMARY KEY REFERENCES transfers (id),
    parts        text NOT NULL,
    hashed       bigint NOT NULL,
    sha256_state bytea NOT NULL,
    md5_state    bytea NOT NULL,
    epoch        bigint NOT NULL,
    lease_until  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE tus_digests;
DROP TABLE tus_segments;
DROP TABLE tus_uploads;
