-- Written for PostgreSQL; dialect.go spells the types differently for SQLite.
-- +goose Up
CREATE TABLE service_owners (
    organisation text PRIMARY KEY,
    name         text NOT NULL,
    created      timestamptz NOT NULL
);

CREATE TABLE resources (
    id                    text PRIMARY KEY CHECK (id <> ''),
    owner                 text NOT NULL REFERENCES service_owners (organisation),
    max_file_size         bigint NOT NULL CHECK (max_file_size > 0),
    time_to_live          bigint NOT NULL CHECK (time_to_live > 0),
    purge_after_confirmed boolean NOT NULL,
    grace                 bigint NOT NULL CHECK (grace >= 0),
    required_party        text NOT NULL,
    use_manifest_shim     boolean NOT NULL,
    service_code          text NOT NULL,
    edition_code          integer NOT NULL,
    version               bigint NOT NULL,
    created               timestamptz NOT NULL,
    updated               timestamptz NOT NULL
);
CREATE INDEX resources_by_owner ON resources (owner);

CREATE TABLE rights (
    resource_id  text NOT NULL REFERENCES resources (id),
    organisation text NOT NULL,
    may_send     boolean NOT NULL,
    may_receive  boolean NOT NULL,
    PRIMARY KEY (resource_id, organisation),
    CHECK (may_send OR may_receive)
);

CREATE TABLE transfers (
    id                 uuid PRIMARY KEY,
    resource_id        text NOT NULL REFERENCES resources (id),
    sender             text NOT NULL,
    sender_as_given    text NOT NULL,
    senders_reference  text NOT NULL,
    reference_digest   text NOT NULL,
    file_name          text NOT NULL,
    property_list      text NOT NULL,
    declared_md5       text NOT NULL,
    declared_sha256    text NOT NULL,
    disable_virus_scan boolean NOT NULL,
    idempotency_key    text,
    request_hash       text NOT NULL,
    run_id             text NOT NULL,
    max_file_size      bigint NOT NULL,
    status             smallint NOT NULL CHECK (status IN (0, 3, 4, 5, 6, 7)),
    status_text        text NOT NULL,
    status_changed     timestamptz NOT NULL,
    created            timestamptz NOT NULL,
    upload_deadline    timestamptz NOT NULL,
    expires            timestamptz NOT NULL,
    published          timestamptz,
    content_key        text NOT NULL,
    content_generation bigint NOT NULL,
    content_size       bigint NOT NULL,
    content_md5        text NOT NULL,
    content_sha256     text NOT NULL,
    content_crc32c     bigint NOT NULL,
    UNIQUE (sender, idempotency_key),
    CHECK (upload_deadline <= expires),
    CHECK (status NOT IN (3, 5) OR (content_key <> '' AND published IS NOT NULL))
);
-- One index for each order in which a sender's search can ask (search.go).
CREATE INDEX transfers_sent_by_created ON transfers (sender, resource_id, created, id);
CREATE INDEX transfers_sent_by_status ON transfers (sender, resource_id, status, status_changed, id);
-- By digest: a reference may have 4096 characters, and PostgreSQL refuses index rows above 2.7 KB (models.ReferenceDigest).
CREATE INDEX transfers_sent_by_reference ON transfers (sender, resource_id, reference_digest, created, id);

CREATE TABLE recipients (
    transfer_id             uuid NOT NULL REFERENCES transfers (id),
    party                   text NOT NULL,
    as_given                text NOT NULL,
    ordinal                 integer NOT NULL,
    group_no                integer NOT NULL,
    resource_id             text NOT NULL REFERENCES resources (id),
    reference_digest        text NOT NULL,
    created                 timestamptz NOT NULL,
    delivered               timestamptz,
    confirmed               timestamptz,
    transfer_status         smallint NOT NULL,
    transfer_status_changed timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, party),
    UNIQUE (transfer_id, ordinal)
);
CREATE INDEX recipients_received_by_created ON recipients (party, resource_id, created, transfer_id);
CREATE INDEX recipients_received_by_status ON recipients (party, resource_id, transfer_status, transfer_status_changed, transfer_id);
CREATE INDEX recipients_received_by_reference ON recipients (party, resource_id, reference_digest, created, transfer_id);
CREATE INDEX recipients_unconfirmed ON recipients (party, resource_id, created, transfer_id) WHERE confirmed IS NULL;
CREATE INDEX recipients_confirmed ON recipients (party, resource_id, created, transfer_id) WHERE confirmed IS NOT NULL;
CREATE INDEX recipients_unconfirmed_by_status ON recipients (party, resource_id, transfer_status, transfer_status_changed, transfer_id) WHERE confirmed IS NULL;
CREATE INDEX recipients_of_group ON recipients (transfer_id, group_no) WHERE confirmed IS NULL;

CREATE TABLE status_changes (
    transfer_id uuid NOT NULL REFERENCES transfers (id),
    seq         integer NOT NULL,
    status      smallint NOT NULL,
    text        text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, seq)
);

CREATE TABLE party_sequences (
    party text PRIMARY KEY,
    last  bigint NOT NULL
);

CREATE TABLE events (
    party       text NOT NULL REFERENCES party_sequences (party),
    seq         bigint NOT NULL,
    id          uuid NOT NULL UNIQUE,
    type        text NOT NULL,
    transfer_id uuid NOT NULL REFERENCES transfers (id),
    resource_id text NOT NULL,
    role        text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (party, seq)
);
CREATE INDEX events_of_transfer ON events (transfer_id);

-- Facts of the data plane, appended by the API. They decide nothing until a workflow reads them.
CREATE TABLE upload_attempts (
    id              uuid PRIMARY KEY,
    transfer_id     uuid REFERENCES transfers (id),
    object_key      text NOT NULL UNIQUE,
    idempotency_key text,
    started         timestamptz NOT NULL,
    lease_until     timestamptz NOT NULL,
    ended           timestamptz
);
CREATE INDEX upload_attempts_of_transfer ON upload_attempts (transfer_id, started);
CREATE INDEX upload_attempts_without_transfer ON upload_attempts (lease_until) WHERE transfer_id IS NULL AND ended IS NULL;

CREATE TABLE staged_contents (
    attempt_id  uuid PRIMARY KEY REFERENCES upload_attempts (id),
    transfer_id uuid NOT NULL REFERENCES transfers (id),
    generation  bigint NOT NULL,
    size        bigint NOT NULL CHECK (size >= 0),
    md5         text NOT NULL,
    sha256      text NOT NULL,
    crc32c      bigint NOT NULL,
    staged      timestamptz NOT NULL
);
CREATE INDEX staged_contents_of_transfer ON staged_contents (transfer_id, staged);

CREATE TABLE content_accesses (
    id          uuid PRIMARY KEY,
    transfer_id uuid NOT NULL,
    party       text NOT NULL,
    first_byte  bigint NOT NULL,
    length      bigint NOT NULL,
    started     timestamptz NOT NULL,
    ended       timestamptz,
    bytes_sent  bigint NOT NULL,
    complete    boolean NOT NULL,
    FOREIGN KEY (transfer_id, party) REFERENCES recipients (transfer_id, party)
);
CREATE INDEX content_accesses_of_recipient ON content_accesses (transfer_id, party, started);

-- +goose Down
DROP TABLE content_accesses;
DROP TABLE staged_contents;
DROP TABLE upload_attempts;
DROP TABLE events;
DROP TABLE party_sequences;
DROP TABLE status_changes;
DROP TABLE recipients;
DROP TABLE transfers;
DROP TABLE rights;
DROP TABLE resources;
DROP TABLE service_owners;
