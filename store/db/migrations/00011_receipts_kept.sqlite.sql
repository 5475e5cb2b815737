-- What was receipted or logged is never changed: the database refuses it.
-- +goose Up
-- +goose StatementBegin
CREATE TRIGGER receipt_entries_keep_changed BEFORE UPDATE ON receipt_entries BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER receipt_entries_keep_deleted BEFORE DELETE ON receipt_entries BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER signed_receipts_keep_changed BEFORE UPDATE ON signed_receipts BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER signed_receipts_keep_deleted BEFORE DELETE ON signed_receipts BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER log_leaves_keep_changed BEFORE UPDATE ON log_leaves BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER log_leaves_keep_deleted BEFORE DELETE ON log_leaves BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER log_checkpoints_keep_changed BEFORE UPDATE ON log_checkpoints BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER log_checkpoints_keep_deleted BEFORE DELETE ON log_checkpoints BEGIN
    SELECT RAISE(ABORT, 'receipts are never changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER receipt_entries_keep_changed;
DROP TRIGGER receipt_entries_keep_deleted;
DROP TRIGGER signed_receipts_keep_changed;
DROP TRIGGER signed_receipts_keep_deleted;
DROP TRIGGER log_leaves_keep_changed;
DROP TRIGGER log_leaves_keep_deleted;
DROP TRIGGER log_checkpoints_keep_changed;
DROP TRIGGER log_checkpoints_keep_deleted;
