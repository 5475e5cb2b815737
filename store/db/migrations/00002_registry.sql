-- The registry of rights, and what organisations say about their own credentials.
-- +goose Up
ALTER TABLE resources ADD COLUMN max_recipients integer NOT NULL DEFAULT 0 CHECK (max_recipients >= 0);
ALTER TABLE resources ADD COLUMN recipients_see_each_other boolean NOT NULL DEFAULT false;
ALTER TABLE resources ADD COLUMN login_methods text NOT NULL DEFAULT '[]';
ALTER TABLE resources ADD COLUMN virus_scan text NOT NULL DEFAULT 'off' CHECK (virus_scan IN ('off', 'required'));
ALTER TABLE resources ADD COLUMN suppliers text NOT NULL DEFAULT 'any' CHECK (suppliers IN ('any', 'none', 'listed'));
ALTER TABLE resources ADD COLUMN accepted_suppliers text NOT NULL DEFAULT '[]';
ALTER TABLE resources ADD COLUMN closed timestamptz;
CREATE UNIQUE INDEX resources_by_name ON resources (lower(id)); -- no service looks like another's

CREATE TABLE grants (
    resource_id     text NOT NULL REFERENCES resources (id),
    organisation    text NOT NULL,
    effect          text NOT NULL CHECK (effect IN ('allow', 'block')),
    may_send        boolean NOT NULL,
    may_receive     boolean NOT NULL,
    reply_only      boolean NOT NULL,
    accepts_replies boolean NOT NULL,
    valid_from      timestamptz,
    valid_to        timestamptz,
    supplier        text NOT NULL,
    note            text NOT NULL,
    version         bigint NOT NULL,
    updated         timestamptz NOT NULL,
    PRIMARY KEY (resource_id, organisation),
    CHECK (may_send OR may_receive),
    CHECK (may_send OR NOT reply_only),
    CHECK (may_receive OR NOT accepts_replies),
    CHECK (valid_from < valid_to)
);
INSERT INTO grants
SELECT r.resource_id, r.organisation, 'allow', r.may_send, r.may_receive, false, false, NULL, NULL, '', '', s.version, s.updated
FROM rights r JOIN resources s ON s.id = r.resource_id;
DROP TABLE rights;

CREATE TABLE access_lists (
    owner       text NOT NULL REFERENCES service_owners (organisation),
    id          text NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    version     bigint NOT NULL,
    created     timestamptz NOT NULL,
    updated     timestamptz NOT NULL,
    PRIMARY KEY (owner, id)
);

CREATE TABLE access_list_members (
    owner        text NOT NULL,
    list_id      text NOT NULL,
    organisation text NOT NULL,
    valid_from   timestamptz,
    valid_to     timestamptz,
    since        timestamptz NOT NULL,
    PRIMARY KEY (owner, list_id, organisation),
    FOREIGN KEY (owner, list_id) REFERENCES access_lists (owner, id),
    CHECK (valid_from < valid_to)
);

CREATE INDEX access_list_members_of ON access_list_members (owner, organisation);

CREATE TABLE access_list_connections (
    resource_id     text NOT NULL REFERENCES resources (id),
    list_id         text NOT NULL,
    owner           text NOT NULL,
    effect          text NOT NULL CHECK (effect IN ('allow', 'block')),
    may_send        boolean NOT NULL,
    may_receive     boolean NOT NULL,
    reply_only      boolean NOT NULL,
    accepts_replies boolean NOT NULL,
    valid_from      timestamptz,
    valid_to        timestamptz,
    version         bigint NOT NULL,
    updated         timestamptz NOT NULL,
    PRIMARY KEY (resource_id, list_id),
    FOREIGN KEY (owner, list_id) REFERENCES access_lists (owner, id),
    CHECK (may_send OR may_receive),
    CHECK (may_send OR NOT reply_only),
    CHECK (may_receive OR NOT accepts_replies),
    CHECK (valid_from < valid_to)
);
CREATE INDEX access_list_connections_of_list ON access_list_connections (owner, list_id);

CREATE TABLE delegations (
    principal   text NOT NULL,
    supplier    text NOT NULL CHECK (supplier <> principal),
    resource_id text NOT NULL,
    may_send    boolean NOT NULL,
    may_receive boolean NOT NULL,
    valid_from  timestamptz,
    valid_to    timestamptz,
    version     bigint NOT NULL,
    updated     timestamptz NOT NULL,
    PRIMARY KEY (principal, supplier, resource_id),
    CHECK (may_send OR may_receive),
    CHECK (valid_from < valid_to)
);

CREATE TABLE access_requests (
    id           uuid PRIMARY KEY,
    resource_id  text NOT NULL REFERENCES resources (id),
    organisation text NOT NULL,
    may_send     boolean NOT NULL,
    may_receive  boolean NOT NULL,
    text         text NOT NULL,
    state        text NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'withdrawn')),
    answer       text NOT NULL,
    version      bigint NOT NULL,
    created      timestamptz NOT NULL,
    answered     timestamptz,
    CHECK (may_send OR may_receive),
    CHECK ((state = 'pending') = (answered IS NULL))
);
CREATE UNIQUE INDEX access_requests_pending ON access_requests (organisation, resource_id) WHERE state = 'pending';
CREATE INDEX access_requests_of_resource ON access_requests (resource_id, created, id);
CREATE INDEX access_requests_of_organisation ON access_requests (organisation, created, id);

CREATE TABLE clients (
    id           text PRIMARY KEY,
    organisation text NOT NULL,
    name         text NOT NULL,
    keys         text NOT NULL,
    version      bigint NOT NULL,
    created      timestamptz NOT NULL,
    expires      timestamptz NOT NULL
);
CREATE INDEX clients_of_organisation ON clients (organisation, id);

CREATE TABLE credential_locks (
    organisation text PRIMARY KEY,
    certificates text NOT NULL,
    keys         text NOT NULL,
    issuers      text NOT NULL,
    version      bigint NOT NULL,
    updated      timestamptz NOT NULL
);

-- Assertions that bought a token: each does so once, at whatever replica.
CREATE TABLE used_assertions (
    holder  text NOT NULL,
    jti     text NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (holder, jti)
);
CREATE INDEX used_assertions_by_expiry ON used_assertions (expires);

-- +goose Down
DROP TABLE used_assertions;
DROP TABLE credential_locks;
DROP TABLE clients;
DROP TABLE access_requests;
DROP TABLE delegations;
DROP TABLE access_list_connections;
DROP TABLE access_list_members;
DROP TABLE access_lists;
CREATE TABLE rights (
    resource_id  text NOT NULL REFERENCES resources (id),
    organisation text NOT NULL,
    may_send     boolean NOT NULL,
    may_receive  boolean NOT NULL,
    PRIMARY KEY (resource_id, organisation),
    CHECK (may_send OR may_receive)
);
INSERT INTO rights SELECT resource_id, organisation, may_send, may_receive FROM grants WHERE effect = 'allow';
DROP TABLE grants;
DROP INDEX resources_by_name;
ALTER TABLE resources DROP COLUMN closed;
ALTER TABLE resources DROP COLUMN accepted_suppliers;
ALTER TABLE resources DROP COLUMN suppliers;
ALTER TABLE resources DROP COLUMN virus_scan;
ALTER TABLE resources DROP COLUMN login_methods;
ALTER TABLE resources DROP COLUMN recipients_see_each_other;
ALTER TABLE resources DROP COLUMN max_recipients;
