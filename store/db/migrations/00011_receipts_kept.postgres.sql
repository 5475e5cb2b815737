-- What was receipted or logged is never changed: the database refuses it.
-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION refuse_receipt_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'receipts are never changed';
END $$;
-- +goose StatementEnd
CREATE TRIGGER receipt_entries_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_receipt_change();
CREATE TRIGGER signed_receipts_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON signed_receipts FOR EACH STATEMENT EXECUTE FUNCTION refuse_receipt_change();
CREATE TRIGGER log_leaves_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON log_leaves FOR EACH STATEMENT EXECUTE FUNCTION refuse_receipt_change();
CREATE TRIGGER log_checkpoints_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON log_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_receipt_change();

-- +goose Down
DROP TRIGGER receipt_entries_keep ON receipt_entries;
DROP TRIGGER signed_receipts_keep ON signed_receipts;
DROP TRIGGER log_leaves_keep ON log_leaves;
DROP TRIGGER log_checkpoints_keep ON log_checkpoints;
DROP FUNCTION refuse_receipt_change;
