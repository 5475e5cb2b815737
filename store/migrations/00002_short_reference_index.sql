-- A reference may have 4096 characters, 16 KB, and PostgreSQL refuses index rows above 2.7 KB: the index
-- keeps the beginning, which search.go asks for beside the whole.
-- +goose Up
DROP INDEX transfers_sent_by_reference;
CREATE INDEX transfers_sent_by_reference ON transfers (sender, resource_id, substr(senders_reference, 1, 100), created, id);

-- +goose Down
DROP INDEX transfers_sent_by_reference;
CREATE INDEX transfers_sent_by_reference ON transfers (sender, resource_id, senders_reference, created, id);
