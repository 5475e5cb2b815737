-- Whose credential began an upload, for the timeline.
-- +goose Up
ALTER TABLE upload_attempts ADD COLUMN actor text;

-- +goose Down
ALTER TABLE upload_attempts DROP COLUMN actor;
