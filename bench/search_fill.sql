-- Fills the schema of store/db/migrations with $1 transfers of one year, in the order in which they were made.
-- Organisation 310000027 sends half of them and receives a quarter; 2,000 others share the rest.
-- Of the transfers older than 30 days the file has gone; of the younger ones every status occurs, those
-- that await their upload only in the last day.
SET session_replication_role = replica; -- spares the look-ups of foreign keys, which hold by construction
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.draw(i bigint, salt text, n int) RETURNS int IMMUTABLE LANGUAGE sql AS
$$ SELECT (('x' || substr(md5(i || salt), 1, 7))::bit(28)::int % n) $$;

CREATE FUNCTION pg_temp.uuid7(at timestamptz, i bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS
$$ SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(i || 'a'), 1, 3)
	|| '8' || substr(md5(i || 'b'), 1, 15))::uuid $$;

CREATE FUNCTION pg_temp.party(n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT '0192:' || (330000000 + n) $$;

INSERT INTO service_owners VALUES ('0192:310000019', 'Bench', now());
INSERT INTO resources VALUES ('bench', '0192:310000019', 1 << 30, 2592000000000000, true, 7200000000000, '', false, '', 0, 1, now(), now());

CREATE TEMP TABLE made AS
SELECT i, at, pg_temp.uuid7(at, i) AS id,
	CASE WHEN i % 2 = 0 THEN '0192:310000027' ELSE pg_temp.party(pg_temp.draw(i, 'sender', 2000)) END AS sender,
	CASE -- 0 Initialized, 3 Published, 4 Cancelled, 5 AllConfirmedDownloaded, 6 Purged, 7 Failed
		WHEN age < interval '1 day' AND h < 60 THEN 0 -- the upload deadline ends the others
		WHEN age < interval '30 days' AND h < 45 THEN 3
		WHEN age < interval '30 days' AND h < 55 THEN 5
		WHEN h < 96 THEN 6
		WHEN h < 98 THEN 7
		ELSE 4
	END AS status,
	1 + (CASE WHEN pg_temp.draw(i, 'many', 10) < 8 THEN 0 ELSE pg_temp.draw(i, 'count', 3) END) AS recipients,
	-- one of them has all, some have the rest: a number of our own, or a word that repeats
	CASE WHEN pg_temp.draw(i, 'ref', 10) < 7 THEN 'order-' || i ELSE 'batch-' || pg_temp.draw(i, 'word', 5) END AS reference
FROM (SELECT i, pg_temp.draw(i, 'status', 100) AS h, interval '1 year' * (1 - i::float8 / $1) AS age,
		date_trunc('milliseconds', now() - interval '1 year' * (1 - i::float8 / $1)) AS at
	FROM generate_series(1, $1::bigint) i) one;

INSERT INTO transfers (id, resource_id, sender, sender_as_given, senders_reference, reference_digest, file_name, property_list, declared_md5,
	declared_sha256, disable_virus_scan, request_hash, run_id, max_file_size, status, status_text, status_changed, created,
	upload_deadline, expires, published, content_key, content_generation, content_size, content_md5, content_sha256, content_crc32c)
SELECT id, 'bench', sender, sender, reference, left(encode(sha256(reference::bytea), 'hex'), 32), 'file-' || i || '.bin', '{"customer":"bench"}', '', '', false, md5(i::text) || md5(id::text),
	id::text, 1 << 30, status, '', CASE status WHEN 0 THEN at WHEN 3 THEN at + interval '1 minute' ELSE at + interval '2 hours' END,
	at, at + interval '1 day', at + interval '30 days', CASE WHEN status IN (3, 5, 6) THEN at + interval '1 minute' END,
	CASE WHEN status IN (3, 5, 6) THEN 'ft/' || id || '/' || id ELSE '' END, i, 1 << 20,
	md5(i::text), md5(i::text) || md5(id::text), i
FROM made ORDER BY i;

INSERT INTO recipients (transfer_id, party, as_given, ordinal, group_no, resource_id, reference_digest, created, delivered, confirmed, transfer_status, transfer_status_changed)
SELECT id, party, party, min(n) - 1, 0, 'bench', left(encode(sha256(reference::bytea), 'hex'), 32), at, CASE WHEN status IN (3, 5, 6) THEN at + interval '1 minute' END,
	-- one purged transfer in twenty was never confirmed; of the published ones a fifth is, by this one
	CASE WHEN status = 5 OR status = 6 AND pg_temp.draw(i, 'unconfirmed', 20) > 0 OR status = 3 AND pg_temp.draw(i, party, 5) = 0
		THEN at + interval '1 hour' END,
	status, CASE status WHEN 0 THEN at WHEN 3 THEN at + interval '1 minute' ELSE at + interval '2 hours' END
FROM (SELECT made.*, n, CASE WHEN n = 1 AND pg_temp.draw(i, 'to', 4) = 0 AND i % 2 = 1 OR n = 1 AND pg_temp.draw(i, 'to', 8) = 0 THEN '0192:310000027'
		ELSE pg_temp.party(pg_temp.draw(i, 'to' || n, 2000)) END AS party
	FROM made, generate_series(1, made.recipients) n) each
GROUP BY i, id, party, reference, at, status ORDER BY i, min(n);

INSERT INTO upload_attempts (id, transfer_id, object_key, started, lease_until)
SELECT pg_temp.uuid7(at, -i), id, 'ft/' || id || '/' || i, at + interval '1 second', at + interval '1 minute'
FROM made WHERE status IN (3, 5, 6) OR status = 0 AND pg_temp.draw(i, 'begun', 3) > 0 ORDER BY i;

INSERT INTO staged_contents (attempt_id, transfer_id, generation, size, md5, sha256, crc32c, staged)
SELECT pg_temp.uuid7(at, -i), id, i, 1 << 20, md5(i::text), md5(i::text) || md5(id::text), i, at + interval '30 seconds'
FROM made WHERE status IN (3, 5, 6) OR status = 0 AND pg_temp.draw(i, 'begun', 3) > 1 ORDER BY i;

-- who confirmed has downloaded, and one in ten of the others has begun to
INSERT INTO content_accesses (id, transfer_id, party, first_byte, length, started, ended, bytes_sent, complete)
SELECT pg_temp.uuid7(r.created, hashtextextended(r.party, 0) + m.i), m.id, r.party, 0, 1 << 20, r.created + interval '30 minutes',
	r.created + interval '31 minutes', 1 << 20, true
FROM made m JOIN recipients r ON r.transfer_id = m.id
WHERE r.confirmed IS NOT NULL OR r.delivered IS NOT NULL AND pg_temp.draw(m.i, 'accessed', 10) = 0 ORDER BY m.i;
