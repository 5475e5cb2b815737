-- What the event feed asks for: one index for each way to filter it (feed.go), and reminders.
-- +goose Up
ALTER TABLE events ADD COLUMN detail text NOT NULL DEFAULT '';
CREATE INDEX events_by_type ON events (party, type, seq);
CREATE INDEX events_by_resource ON events (party, resource_id, seq);
CREATE INDEX events_by_resource_and_type ON events (party, resource_id, type, seq);
ALTER TABLE resources ADD COLUMN confirmation_reminders text NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE resources DROP COLUMN confirmation_reminders;
DROP INDEX events_by_resource_and_type;
DROP INDEX events_by_resource;
DROP INDEX events_by_type;
ALTER TABLE events DROP COLUMN detail;
