-- Subscriptions: endpoints that are told of an organisation's events, and how far each has come.
-- +goose Up
CREATE TABLE subscriptions (
    id              bigint PRIMARY KEY,
    party           text NOT NULL,
    end_point       text NOT NULL,
    source_filter   text NOT NULL,
    resource_id     text NOT NULL,
    subject_filter  text NOT NULL,
    type_filter     text NOT NULL,
    secrets         text NOT NULL,
    idempotency_key text,
    request_hash    text NOT NULL,
    version         bigint NOT NULL,
    created         timestamptz NOT NULL,
    status          text NOT NULL CHECK (status IN ('unvalidated', 'active', 'disabled', 'deleted')),
    validated       timestamptz,
    cursor          bigint NOT NULL CHECK (cursor >= 0),
    busy            timestamptz,
    next_attempt    timestamptz,
    failing_since   timestamptz,
    last_error      text NOT NULL,
    last_delivered  timestamptz,
    last_event_id   uuid
);
CREATE INDEX subscriptions_of_party ON subscriptions (party, id);
CREATE UNIQUE INDEX subscriptions_by_key ON subscriptions (party, idempotency_key);

-- +goose Down
DROP TABLE subscriptions;
