-- How many refused submissions of an organisation were receipted on a day (UTC): there is a bound.
-- +goose Up
CREATE TABLE refusal_counts (
    organisation text NOT NULL,
    day          text NOT NULL,
    refused      bigint NOT NULL,
    PRIMARY KEY (organisation, day)
);

-- +goose Down
DROP TABLE refusal_counts;
