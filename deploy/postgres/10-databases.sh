#!/bin/bash
# Run once by the postgres image, when its volume is empty: a role and its own databases for each of the two
# programs. Neither may create databases or connect to the other's.
set -euo pipefail

# \getenv keeps the passwords out of the process list, :'…' quotes them whatever they hold.
psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv formidling_password FORMIDLING_DATABASE_PASSWORD
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD
CREATE ROLE formidling LOGIN PASSWORD :'formidling_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE formidling OWNER formidling;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT, TEMPORARY ON DATABASE formidling, temporal, temporal_visibility FROM PUBLIC;
SQL
