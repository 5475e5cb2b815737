-- Parallel parts of known length may lie in one object from the beginning, where it is known in which order they come.
-- +goose Up
ALTER TABLE tus_uploads ADD COLUMN place bigint CHECK (place >= 0);
ALTER TABLE tus_uploads ADD COLUMN share uuid;
ALTER TABLE tus_segments ADD COLUMN object_offset bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE tus_segments DROP COLUMN object_offset;
ALTER TABLE tus_uploads DROP COLUMN share;
ALTER TABLE tus_uploads DROP COLUMN place;
