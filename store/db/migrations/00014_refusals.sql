-- How many refused submissions of an organisation were receipted on a day (UTC): there is a bound. And since when receipts
-- wait for a signature, so that the oldest are signed first; what waited before counts as oldest.
-- +goose Up
CREATE TABLE refusal_counts (
    organisation text NOT NULL,
    day          text NOT NULL,
    refused      bigint NOT NULL,
    PRIMARY KEY (organisation, day)
);

ALTER TABLE receipt_chains ADD COLUMN waiting timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00:00';
DROP INDEX receipt_chains_unsigned;
CREATE INDEX receipt_chains_unsigned ON receipt_chains (waiting, transfer_id) WHERE signed < last;

-- +goose Down
DROP INDEX receipt_chains_unsigned;
CREATE INDEX receipt_chains_unsigned ON receipt_chains (transfer_id) WHERE signed < last;
ALTER TABLE receipt_chains DROP COLUMN waiting;
DROP TABLE refusal_counts;
