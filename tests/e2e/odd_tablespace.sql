-- Optional: objects in a tablespace of the server's own data folder (allow_in_place_tablespaces, PostgreSQL 15).
-- Makes tablespace odd_space in the cluster if it is absent. Loads as a superuser.
\set ON_ERROR_STOP 1
\set QUIET 1
SET allow_in_place_tablespaces = on;
SELECT count(*) = 0 AS absent FROM pg_tablespace WHERE spcname = 'odd_space' \gset
\if :absent
CREATE TABLESPACE odd_space LOCATION '';
\endif
CREATE SCHEMA odd_space;
CREATE TABLE odd_space.here (id int PRIMARY KEY USING INDEX TABLESPACE odd_space, v text) TABLESPACE odd_space;
INSERT INTO odd_space.here SELECT g, 'v' || g FROM generate_series(1, 100) g;
CREATE INDEX here_v ON odd_space.here (v) TABLESPACE odd_space;
CREATE TABLE odd_space.default_place (id int);
CREATE INDEX there ON odd_space.default_place (id) TABLESPACE odd_space;
CREATE TABLE odd_space.parts (id int) PARTITION BY RANGE (id) TABLESPACE odd_space;
CREATE TABLE odd_space.parts_one PARTITION OF odd_space.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE odd_space.parts_two PARTITION OF odd_space.parts FOR VALUES FROM (100) TO (200) TABLESPACE pg_default;
INSERT INTO odd_space.parts SELECT generate_series(0, 199);
CREATE MATERIALIZED VIEW odd_space.mat TABLESPACE odd_space AS SELECT count(*) FROM odd_space.here;
