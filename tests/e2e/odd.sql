-- A database that holds every odd thing a backup must carry. Loads into a UTF8 database as a superuser, with psql.
-- Makes roles odd_... in the cluster if they are absent. Restored by stock `pg_dump | psql` without a difference
-- (test_oracle.py shows it), so whatever differs after opstower is opstower's doing.
\set ON_ERROR_STOP 1
\set QUIET 1
\encoding UTF8
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET standard_conforming_strings = on;

-- Roles ------------------------------------------------------------------------------------------------------------
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['odd_owner', 'odd_reader', 'odd_writer', 'odd_admin', 'odd "quoted" role, with spaces']
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    END IF;
  END LOOP;
END $$;
GRANT odd_reader TO odd_admin WITH ADMIN OPTION;
GRANT odd_writer TO odd_admin;

-- Schemas and extensions -------------------------------------------------------------------------------------------
CREATE SCHEMA odd AUTHORIZATION odd_owner;
CREATE SCHEMA "Odd Schema, ""quoted"" $$ (x) %s \ é";
CREATE SCHEMA ext;
CREATE SCHEMA odd_empty AUTHORIZATION "odd ""quoted"" role, with spaces";
COMMENT ON SCHEMA odd IS E'semicolons; ''quotes'', $$dollars$$,\na second line, a backslash \\ and \\.\n\\.\nthe end';
COMMENT ON SCHEMA "Odd Schema, ""quoted"" $$ (x) %s \ é" IS '';
COMMENT ON SCHEMA public IS 'not the standard comment';
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO odd_reader;
GRANT USAGE, CREATE ON SCHEMA odd TO odd_writer WITH GRANT OPTION;
SET ROLE odd_owner;
GRANT USAGE ON SCHEMA odd TO PUBLIC;
RESET ROLE;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE EXTENSION postgres_fdw SCHEMA ext;
CREATE EXTENSION file_fdw SCHEMA ext;
COMMENT ON EXTENSION hstore IS 'our own words for hstore';
REVOKE EXECUTE ON FUNCTION ext.hstore(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ext.hstore(text, text) TO odd_reader;
GRANT USAGE ON SCHEMA ext TO PUBLIC;
-- Changed rights on the system's own objects are part of a dump too.
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) TO odd_admin;
GRANT SELECT (rolname) ON pg_catalog.pg_authid TO odd_reader;

-- An extension with configuration tables, where the server has it (the tests' own server does).
SELECT count(*) > 0 AS has_odd_config FROM pg_available_extensions WHERE name = 'odd_config' \gset
\if :has_odd_config
CREATE EXTENSION odd_config;
INSERT INTO odd_config.setting VALUES ('ours', E'a row of the user''s\twith a tab', false), ('second', NULL, false);
INSERT INTO odd_config.everything (note) VALUES ('one'), ('two'), ('\.');
SELECT setval('odd_config.ticket', 77, false) \g /dev/null
GRANT SELECT ON odd_config.setting TO odd_reader;
\endif

-- Types ------------------------------------------------------------------------------------------------------------
CREATE TYPE odd.mood AS ENUM ('happy', 'so "so"', 'it''s', E'tab\there', E'new\nline', '', 'ünïcode ☃', '\.', 'with, comma');
ALTER TYPE odd.mood ADD VALUE 'in between' BEFORE 'it''s';
CREATE DOMAIN odd.percent AS numeric(5, 2) DEFAULT 50 NOT NULL CONSTRAINT "in range %" CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN odd.short_text AS text COLLATE "C" CHECK (length(VALUE) < 40);
ALTER DOMAIN odd.short_text ADD CONSTRAINT not_now CHECK (VALUE <> 'now') NOT VALID;
CREATE TYPE odd.pair AS (a int, "b ""q""" text COLLATE "C", c odd.mood);
CREATE DOMAIN odd.good_pair AS odd.pair CHECK ((VALUE).a > 0);
CREATE TYPE odd.float_range AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = odd.float_ranges);
CREATE TYPE odd.shell_only;
CREATE TYPE odd.int42;
CREATE FUNCTION odd.int42_in(cstring) RETURNS odd.int42 AS 'int4in' LANGUAGE internal STRICT IMMUTABLE;
CREATE FUNCTION odd.int42_out(odd.int42) RETURNS cstring AS 'int4out' LANGUAGE internal STRICT IMMUTABLE;
CREATE TYPE odd.int42 (
  INTERNALLENGTH = 4, INPUT = odd.int42_in, OUTPUT = odd.int42_out, ALIGNMENT = int4, DEFAULT = '42', PASSEDBYVALUE);
COMMENT ON TYPE odd.mood IS 'a mood';
COMMENT ON DOMAIN odd.percent IS 'a percentage';
COMMENT ON CONSTRAINT "in range %" ON DOMAIN odd.percent IS 'of the domain';
COMMENT ON COLUMN odd.pair.a IS 'of the composite type';
ALTER TYPE odd.pair OWNER TO odd_owner;
REVOKE USAGE ON TYPE odd.mood FROM PUBLIC;
GRANT USAGE ON TYPE odd.mood TO odd_reader;

-- Functions, procedures, aggregates, operators ---------------------------------------------------------------------
CREATE FUNCTION odd.nasty_body(a int DEFAULT 1, VARIADIC b text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql STABLE
  SET search_path = odd, pg_temp AS $odd$
BEGIN
  -- lines that look like something else to a careless reader of the file
  PERFORM 'x
\.
COPY odd.plain (id, v) FROM stdin;
1	fake
\.
\unrestrict abc
\restrict abc
\connect postgres
\! echo never
--
-- PostgreSQL database dump complete
--
';
  RETURN $$dollar ; $$ || E'\\.' || '%s %I %%';
END $odd$;
CREATE FUNCTION odd."fn ""quoted"" (x)"("arg one" int, OUT "out, two" text, INOUT c odd.pair) LANGUAGE sql IMMUTABLE
  PARALLEL SAFE COST 7 AS 'SELECT ''x''::text, $2';
CREATE FUNCTION odd.atomic(i int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT i * 2; END;
CREATE FUNCTION odd.rows_of(n int) RETURNS TABLE (i int, t text) LANGUAGE sql ROWS 5 SECURITY DEFINER LEAKPROOF
  AS 'SELECT g, g::text FROM generate_series(1, n) g';
CREATE FUNCTION odd.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := true; RETURN NEW; END';
CREATE FUNCTION odd.no_op() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE PROCEDURE odd.do_it(INOUT a int, b text DEFAULT 'it''s') LANGUAGE plpgsql AS 'BEGIN a := a + 1; COMMIT; END';
CREATE FUNCTION odd.longer(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT CASE WHEN length(b) > length(coalesce(a, '')) THEN b ELSE a END $$;
CREATE AGGREGATE odd.longest(text) (SFUNC = odd.longer, STYPE = text, COMBINEFUNC = odd.longer, PARALLEL = SAFE);
CREATE AGGREGATE odd.nth(float8 ORDER BY anyelement) (
  SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FUNCTION odd.backwards_cmp(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(b, a)';
CREATE FUNCTION odd.gt(a int, b int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a > b';
CREATE FUNCTION odd.ge(a int, b int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a >= b';
CREATE FUNCTION odd.lt(a int, b int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a < b';
CREATE FUNCTION odd.le(a int, b int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a <= b';
CREATE FUNCTION odd.eq(a int, b int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a = b';
CREATE OPERATOR odd.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.eq, COMMUTATOR = OPERATOR(odd.===),
  RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR odd.>>> (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.gt, COMMUTATOR = OPERATOR(odd.<<<));
CREATE OPERATOR odd.>>= (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.ge);
CREATE OPERATOR odd.<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.lt, COMMUTATOR = OPERATOR(odd.>>>));
CREATE OPERATOR odd.<<= (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.le);
CREATE OPERATOR odd.@#@ (RIGHTARG = int, FUNCTION = int4um);
COMMENT ON OPERATOR odd.@#@ (NONE, int) IS 'prefix';
CREATE OPERATOR FAMILY odd.backwards_family USING btree;
CREATE OPERATOR CLASS odd.backwards_ops FOR TYPE int USING btree FAMILY odd.backwards_family AS
  OPERATOR 1 odd.>>>, OPERATOR 2 odd.>>=, OPERATOR 3 odd.===, OPERATOR 4 odd.<<=, OPERATOR 5 odd.<<<,
  FUNCTION 1 odd.backwards_cmp(int, int);
COMMENT ON OPERATOR CLASS odd.backwards_ops USING btree IS 'sorts the wrong way';
CREATE FUNCTION odd.int_to_mood(int) RETURNS odd.mood LANGUAGE sql IMMUTABLE AS $$ SELECT 'happy'::odd.mood $$;
CREATE CAST (int AS odd.mood) WITH FUNCTION odd.int_to_mood(int) AS ASSIGNMENT;
CREATE CAST (odd.int42 AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS odd.pair) WITH INOUT;
COMMENT ON CAST (int AS odd.mood) IS 'everybody is happy';
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
CREATE FUNCTION odd.call_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION odd.inline_handler(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION odd.validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE odd_language HANDLER odd.call_handler INLINE odd.inline_handler VALIDATOR odd.validator;
CREATE FUNCTION odd.in_our_language() RETURNS int LANGUAGE odd_language AS 'BEGIN RETURN 1; END';
COMMENT ON LANGUAGE odd_language IS 'plpgsql by another name';
CREATE CONVERSION odd.conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE ACCESS METHOD odd_heap TYPE TABLE HANDLER heap_tableam_handler;
COMMENT ON ACCESS METHOD odd_heap IS 'heap by another name';
COMMENT ON FUNCTION odd.nasty_body(int, text[]) IS E'\\.\nCOPY x FROM stdin;\n\\.';
COMMENT ON PROCEDURE odd.do_it(int, text) IS 'a procedure';
COMMENT ON AGGREGATE odd.longest(text) IS 'an aggregate';
ALTER FUNCTION odd.rows_of(int) OWNER TO odd_owner;
REVOKE ALL ON FUNCTION odd.rows_of(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION odd.rows_of(int) TO odd_reader WITH GRANT OPTION;

-- Collations and text search ---------------------------------------------------------------------------------------
CREATE COLLATION odd.posix (LOCALE = 'C');
SELECT count(*) > 0 AS has_icu FROM pg_collation WHERE collprovider = 'i' \gset
\if :has_icu
CREATE COLLATION odd."case blind" (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE odd.icu_texts (id int PRIMARY KEY, t text COLLATE odd."case blind" UNIQUE);
INSERT INTO odd.icu_texts VALUES (1, 'Größe'), (2, 'naïve');
\endif
CREATE TEXT SEARCH DICTIONARY odd.plain_dict (TEMPLATE = pg_catalog.simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION odd.search (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION odd.search ALTER MAPPING FOR asciiword WITH odd.plain_dict, pg_catalog.english_stem;
ALTER TEXT SEARCH CONFIGURATION odd.search DROP MAPPING FOR url;
COMMENT ON TEXT SEARCH CONFIGURATION odd.search IS 'a configuration';
ALTER TEXT SEARCH CONFIGURATION odd.search OWNER TO odd_owner;
CREATE TEXT SEARCH TEMPLATE odd.template (LEXIZE = dsimple_lexize, INIT = dsimple_init);
CREATE TEXT SEARCH PARSER odd.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
  LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);

-- Sequences --------------------------------------------------------------------------------------------------------
CREATE SEQUENCE odd.never_called START 7;
CREATE SEQUENCE odd.called START 100 INCREMENT 5;
SELECT nextval('odd.called'), nextval('odd.called') \g /dev/null
CREATE SEQUENCE odd.backwards AS bigint INCREMENT -3 MINVALUE -9223372036854775808 MAXVALUE -1 START -10 CACHE 7 CYCLE;
SELECT setval('odd.backwards', -9223372036854775808) \g /dev/null
CREATE SEQUENCE odd.small AS smallint MAXVALUE 32767;
SELECT setval('odd.small', 32767) \g /dev/null
CREATE SEQUENCE odd.set_not_called;
SELECT setval('odd.set_not_called', 1234567890123, false) \g /dev/null
CREATE UNLOGGED SEQUENCE odd.unlogged_seq;
SELECT nextval('odd.unlogged_seq') \g /dev/null
CREATE SEQUENCE odd."seq ""quoted"" $1 \ é";
SELECT setval('odd."seq ""quoted"" $1 \ é"', 3) \g /dev/null
COMMENT ON SEQUENCE odd.called IS 'called twice';
GRANT USAGE ON SEQUENCE odd.called TO odd_reader;
ALTER SEQUENCE odd.small OWNER TO odd_owner;
CREATE TABLE odd.identities (
  id bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 10 CACHE 3), t text,
  other int GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME odd."identity of, other" MINVALUE -5 START -5),
  s smallserial, b bigserial);
INSERT INTO odd.identities (t) SELECT 'row ' || g FROM generate_series(1, 12) g;
CREATE TABLE odd.identity_unused (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE odd.shared_default (id int DEFAULT nextval('odd.never_called'), v text);
ALTER SEQUENCE odd.set_not_called OWNED BY odd.shared_default.id;

-- Tables with odd shapes and names -----------------------------------------------------------------------------------
CREATE TABLE odd.plain (id int PRIMARY KEY, v text, touched boolean DEFAULT false);
INSERT INTO odd.plain SELECT g, 'value ' || g FROM generate_series(1, 3000) g;
CREATE TABLE odd.empty_table (id int PRIMARY KEY, v text);
CREATE TABLE odd.no_columns ();
INSERT INTO odd.no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE odd.no_columns_no_rows ();
CREATE TABLE odd.dropped_columns (a int, b text, c numeric, d text);
INSERT INTO odd.dropped_columns SELECT g, 'b' || g, g / 3.0, 'd' || g FROM generate_series(1, 50) g;
ALTER TABLE odd.dropped_columns DROP COLUMN a;
ALTER TABLE odd.dropped_columns DROP COLUMN c;
ALTER TABLE odd.dropped_columns ADD COLUMN a boolean NOT NULL DEFAULT true;
CREATE TABLE odd.all_dropped (a int);
INSERT INTO odd.all_dropped VALUES (1), (2);
ALTER TABLE odd.all_dropped DROP COLUMN a;
CREATE UNLOGGED TABLE odd.unlogged (id int PRIMARY KEY, v text);
INSERT INTO odd.unlogged SELECT g, repeat('u', g) FROM generate_series(1, 40) g;
CREATE TABLE odd.generated (
  id int PRIMARY KEY, net numeric(12, 2), vat numeric(12, 2) GENERATED ALWAYS AS (round(net * 0.12, 2)) STORED, note text,
  "Weird Gen" text GENERATED ALWAYS AS (note || '\.' || E'\t') STORED);
INSERT INTO odd.generated (id, net, note) SELECT g, g * 1.37, CASE WHEN g % 3 > 0 THEN 'n' || g END FROM generate_series(1, 60) g;
CREATE TABLE odd.only_generated (g int GENERATED ALWAYS AS (42) STORED);
INSERT INTO odd.only_generated DEFAULT VALUES;
INSERT INTO odd.only_generated DEFAULT VALUES;
CREATE TABLE odd.typed OF odd.pair (a WITH OPTIONS PRIMARY KEY);
INSERT INTO odd.typed VALUES (1, 'x', 'happy'), (2, E'\\.', '\.');
CREATE TABLE odd.other_heap (id int, v text) USING odd_heap;
INSERT INTO odd.other_heap VALUES (1, 'in another access method');
CREATE TABLE odd.options (id int, big text, small text) WITH (fillfactor = 55, autovacuum_enabled = false,
  toast.autovacuum_enabled = false, toast_tuple_target = 256);
ALTER TABLE odd.options ALTER COLUMN big SET STORAGE EXTERNAL, ALTER COLUMN small SET STATISTICS 17,
  ALTER COLUMN small SET (n_distinct = -0.5), ALTER COLUMN small SET COMPRESSION pglz, REPLICA IDENTITY FULL;
INSERT INTO odd.options SELECT g, repeat('external ', 2000), 's' FROM generate_series(1, 5) g;

CREATE TABLE odd."table ""quoted"", with spaces" ("col ""one""" int, "col, two" text);
INSERT INTO odd."table ""quoted"", with spaces" VALUES (1, 'x'), (2, NULL);
CREATE TABLE odd."FROM stdin" ("FROM stdin" text, "COPY" text, "\." text);
INSERT INTO odd."FROM stdin" VALUES ('COPY x FROM stdin;', '\.', E'\\.\n\\.\n');
CREATE TABLE odd."COPY x (a) FROM stdin;" ("a) FROM stdin; --" int, "a(b)" int, "(" text, ")" text);
INSERT INTO odd."COPY x (a) FROM stdin;" VALUES (1, 2, '(', ')');
CREATE TABLE odd."tab	here
and a newline
\.
end" ("col	tab" int, "col
newline" text, "back\slash" text, "%s %d %%" text, "$$" text, "$1" text, ";" text, "--" text, "/*" text, "'" text,
  "E'\n'" text, " " text, "  lead" text, "é" text, "日本語" text, "😀" text);
INSERT INTO odd."tab	here
and a newline
\.
end" SELECT g, E'a\nb', 'c\d', '%', '$$', '$1', ';', '--', '*/', '''', E'\n', ' ', '  ', 'é', '日本', '😀' FROM generate_series(1, 4) g;
CREATE TABLE odd."ünïcode täble 表 😀" ("sélect" int, "ИмЯ" text);
INSERT INTO odd."ünïcode täble 表 😀" VALUES (1, 'имя');
CREATE TABLE odd."select" ("table" int, "from" int, "where" int, "order" int, "user" text, "group" text);
INSERT INTO odd."select" VALUES (1, 2, 3, 4, 'user', 'group');
CREATE TABLE odd."UPPER lower" (id int);
CREATE TABLE odd."upper lower" (id int);
INSERT INTO odd."UPPER lower" VALUES (1);
INSERT INTO odd."upper lower" VALUES (2), (3);
CREATE TABLE odd."a.b" (id int);
CREATE TABLE odd."a""" (id int);
CREATE TABLE odd."*" (id int);
CREATE TABLE odd."?[x]+(y)|z" (id int);
INSERT INTO odd."a.b" VALUES (10);
INSERT INTO odd."a""" VALUES (11);
INSERT INTO odd."*" VALUES (12);
INSERT INTO odd."?[x]+(y)|z" VALUES (13);
CREATE TABLE odd.a23456789_123456789_123456789_123456789_123456789_123456789_123 (
  c23456789_123456789_123456789_123456789_123456789_123456789_123 int);
INSERT INTO odd.a23456789_123456789_123456789_123456789_123456789_123456789_123 VALUES (63);
CREATE TABLE "Odd Schema, ""quoted"" $$ (x) %s \ é"."table \ %s $$ ""x""" ("col" text);
INSERT INTO "Odd Schema, ""quoted"" $$ (x) %s \ é"."table \ %s $$ ""x""" VALUES ('here'), ('and here');
COMMENT ON TABLE odd."FROM stdin" IS E'COPY odd.plain FROM stdin;\n1\tfake\tt\n\\.\n';
COMMENT ON COLUMN odd."FROM stdin"."\." IS '\.';
-- Many columns: one line of the dump lists them all.
DO $$ BEGIN
  EXECUTE 'CREATE TABLE odd.wide (' || (SELECT string_agg(format('%I int', 'column number ' || g), ', ') FROM generate_series(1, 900) g) || ')';
  EXECUTE 'INSERT INTO odd.wide SELECT ' || (SELECT string_agg('g + ' || g, ', ') FROM generate_series(1, 900) g) || ' FROM generate_series(1, 20) g';
END $$;

-- Values -------------------------------------------------------------------------------------------------------------
CREATE TABLE odd.texts (id int PRIMARY KEY, t text);
INSERT INTO odd.texts VALUES
  (1, '\.'), (2, E'\\.\n'), (3, E'\n\\.\n'), (4, '\N'), (5, NULL), (6, ''), (7, ' '), (8, E'\t'), (9, E'\n'), (10, E'\r'),
  (11, E'\r\n'), (12, '\'), (13, '\\'), (14, E'\\\n'), (15, 'COPY x FROM stdin;'), (16, E'1\t2\t\\N'), (17, '--'),
  (18, ''''), (19, '$$'), (20, E'\b\f\v\x01\x1f\x7f'), (21, '\x41'), (22, '\101'), (23, E'a\tb\nc\\d\re'), (24, 'NULL'),
  (25, '日本語 ελληνικά עברית'), (26, '😀👩‍👩‍👧'), (27, U&'\FEFFbom'), (28, U&'e\0301 \2028 \FFFD'), (29, '\restrict x'),
  (30, '\unrestrict x'), (31, '\connect template1'), (32, E'%s%n%%'), (33, E'trailing space \t '), (34, U&'\+10FFFF');
INSERT INTO odd.texts SELECT 100 + g, chr(g) || 'x' || chr(g) FROM generate_series(1, 255) g;
CREATE TABLE odd.one_text (t text);
INSERT INTO odd.one_text VALUES ('\.'), (''), (NULL), ('\N'), (E'\\.\n\\.');
CREATE TABLE odd.long_texts (id int PRIMARY KEY, t text, b bytea);
INSERT INTO odd.long_texts
  SELECT g, (SELECT string_agg(md5((g * k)::text), E'\t\n') FROM generate_series(1, 150000) k), NULL FROM generate_series(1, 2) g;
INSERT INTO odd.long_texts SELECT 3, repeat('\', 3000000), decode(repeat('00ff5c2e0a', 600000), 'hex');
INSERT INTO odd.long_texts SELECT 4, repeat(E'\n', 2000000), NULL;
CREATE TABLE odd.bytes (id int PRIMARY KEY, b bytea);
INSERT INTO odd.bytes SELECT 0, (SELECT string_agg(decode(lpad(to_hex(g), 2, '0'), 'hex'), '' ORDER BY g) FROM generate_series(0, 255) g);
INSERT INTO odd.bytes VALUES (1, ''), (2, NULL), (3, '\x5c2e0a');
CREATE TABLE odd.numbers (id int PRIMARY KEY, f8 float8, f4 float4, n numeric, nn numeric(30, 10), i8 bigint, m money);
INSERT INTO odd.numbers VALUES
  (1, 'NaN', 'NaN', 'NaN', 'NaN', '9223372036854775807', '-92233720368547758.08'),
  (2, 'Infinity', '-Infinity', 'Infinity', NULL, '-9223372036854775808', '92233720368547758.07'),
  (3, '-Infinity', 'Infinity', '-Infinity', NULL, '0', '0'), (4, '1e-300', '1e-37', '1e-300', '0.0000000001', '1', '1.01'),
  (5, '5e-324', '1.4e-45', '1e300', '12345678901234567890.1234567891', '2', '-1'), (6, '-0', '-0', '-0.000', '-0', '3', '2'),
  (7, '1.7976931348623157e308', '3.4028235e38', '1.10', '1.10', '4', '3'),
  (8, '0.30000000000000004', '0.3', '1.1000000000000000000000001', '1', '5', '4'),
  (9, '123456789.12345679', '16777217', '1e500', '1', '6', NULL), (10, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE odd.times (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, t time, ttz timetz, i interval);
INSERT INTO odd.times VALUES
  (1, 'infinity', '-infinity', 'infinity', '24:00:00', '24:00:00-15:59', 'P1Y2M3DT4H5M6.789S'),
  (2, '4713-01-01 BC', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999+00', '00:00', '00:00+15:59', '-1 day +3 mons -00:00:00.000001'),
  (3, '5874897-12-31', '0001-01-01 00:00:00 BC', '1883-11-18 12:03:58-07:52:58', '23:59:59.999999', '12:00:00.1+05:45', '178000000 years'),
  (4, '2024-02-29', '2024-02-29 12:34:56.000001', '2024-03-10 02:30:00 America/New_York', '12:00:00.5', '12:00+00', '-178000000 years'),
  (5, NULL, NULL, NULL, NULL, NULL, '0'), (6, '1999-12-31', '1999-12-31', '2024-11-03 01:30:00-05', NULL, NULL, '1 mon -1 day'),
  (7, '0001-12-31 BC', 'infinity', '-infinity', NULL, NULL, '00:00:00.000001');
CREATE TABLE odd.kinds (
  id int PRIMARY KEY, arr int[], txt text[], arr3 int[][][], js json, jb jsonb, x xml, bits bit(5), vbits bit varying(12), ip inet,
  net cidr, mac macaddr, mac8 macaddr8, u uuid, tsv tsvector, tsq tsquery, pt point, ln line, ls lseg, bx box, pa path, po polygon,
  ci circle, r int4range, tr tstzrange, mr int4multirange, fr odd.float_range, fmr odd.float_ranges, hs ext.hstore, cit ext.citext,
  mood odd.mood, moods odd.mood[], pct odd.percent, pr odd.pair, prs odd.pair[], gp odd.good_pair, fourty odd.int42, ch char(6),
  one "char", nm name, lsn pg_lsn, snap pg_snapshot, rc regclass, rt regtype, rp regprocedure, vc varchar(9), tid tid, o oid);
INSERT INTO odd.kinds VALUES (
  1, ARRAY[1, NULL, 3], ARRAY['a,b', '"q"', '\', NULL, 'NULL', '', E'\t\n', '{}', ' '], '[0:1][2:2][-1:0]={{{1,2}},{{3,4}}}',
  E'{"dup": 1,  "dup":\t2, "u": "\\u0041", "s": "a\\nb"}', E'{"n": 1.00000000000000000001, "t": "\\t\\\\.", "e": "\\u2603"}',
  E'<?xml version="1.0"?><a b="1">\n<![CDATA[\\.]]></a>', B'10110', B'101', '::ffff:1.2.3.4/120', '10.0.0.0/8', '08:00:2b:01:02:03',
  '08:00:2b:01:02:03:04:05', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', $$'a''b':1A,2 'c\\d':3 '\.':4$$, $$'fat' & !('rat' | 'cat':*AB) <-> 'x'$$,
  '(1,1e-300)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,2)]', '((0,0),(1,1),(1,0))', '<(0,0),2>', '[1,)', '[2024-01-01,infinity]',
  '{[1,2],[5,)}', '[1.5,NaN)', '{(,0.1],[7,8]}', '"a b"=>"\"x\"", n=>NULL, e=>""', 'CiText', E'tab\there',
  ARRAY['', '\.', 'with, comma', E'new\nline']::odd.mood[], 99.99, ROW(1, E'a "b", \\ (c)\t', 'it''s'), ARRAY[ROW(1, NULL, NULL), NULL, ROW(NULL, '', '')]::odd.pair[],
  ROW(5, ')', 'happy'), '7', 'ab  ', '\303', 'a name', '16/B374D848', '10:20:10,14,15', 'odd."FROM stdin"', 'odd.mood[]',
  'odd.do_it(int, text)', 'it''s', '(4294967295,65535)', 4294967295);
INSERT INTO odd.kinds (id, arr, txt, js, jb, ip, hs, r, mr, pct, ch, vc, tsv) VALUES (
  2, '{}', '{}', 'null', 'null', '0.0.0.0/0', '', 'empty', '{}', 0, '', '', ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL);

-- Inheritance ----------------------------------------------------------------------------------------------------------
CREATE TABLE odd.parent_one (id int NOT NULL, name text DEFAULT 'one' CHECK (name <> 'bad'), CONSTRAINT own CHECK (id > 0) NO INHERIT);
CREATE TABLE odd.parent_two (id int NOT NULL, size numeric);
CREATE TABLE odd.child (own_column text DEFAULT 'own') INHERITS (odd.parent_one);
CREATE TABLE odd.child_of_two (last text) INHERITS (odd.parent_one, odd.parent_two);
CREATE TABLE odd.grandchild () INHERITS (odd.child, odd.child_of_two);
ALTER TABLE odd.parent_one ADD COLUMN added_later date DEFAULT '2024-02-29';
ALTER TABLE odd.parent_two ADD COLUMN "added later too" text;
ALTER TABLE odd.child ALTER COLUMN name SET DEFAULT 'the child''s', ALTER COLUMN added_later SET NOT NULL;
INSERT INTO odd.parent_one VALUES (1, 'a', '2024-01-01'), (2, 'b', NULL);
INSERT INTO odd.child (id, own_column) SELECT g, 'c' || g FROM generate_series(10, 19) g;
INSERT INTO odd.child_of_two (id, size, last, "added later too") SELECT g, g / 7.0, 'l', E'\t' FROM generate_series(20, 29) g;
INSERT INTO odd.grandchild (id, size, own_column, last) SELECT g, g, 'o', 'l' FROM generate_series(30, 39) g;
CREATE TABLE odd.disinherited () INHERITS (odd.parent_two);
INSERT INTO odd.disinherited VALUES (1, 2);
ALTER TABLE odd.disinherited NO INHERIT odd.parent_two;

-- Partitions -----------------------------------------------------------------------------------------------------------
CREATE TABLE odd.by_range (id bigint NOT NULL, at timestamptz NOT NULL, payload jsonb, label text DEFAULT 'top') PARTITION BY RANGE (at);
CREATE TABLE odd.by_range_2023 PARTITION OF odd.by_range FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
CREATE TABLE odd.by_range_2024 PARTITION OF odd.by_range (label DEFAULT 'of 2024', CHECK (id < 1000000))
  FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00') PARTITION BY RANGE (id);
CREATE TABLE odd.by_range_2024_low PARTITION OF odd.by_range_2024 FOR VALUES FROM (MINVALUE) TO (400);
CREATE TABLE odd.by_range_2024_rest PARTITION OF odd.by_range_2024 DEFAULT PARTITION BY HASH (id);
CREATE TABLE odd.by_range_2024_rest_0 PARTITION OF odd.by_range_2024_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE odd.by_range_2024_rest_1 PARTITION OF odd.by_range_2024_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1) WITH (fillfactor = 60);
CREATE TABLE odd.by_range_attached (junk int, label text, payload jsonb, at timestamptz NOT NULL, id bigint NOT NULL);
ALTER TABLE odd.by_range_attached DROP COLUMN junk;
ALTER TABLE odd.by_range ATTACH PARTITION odd.by_range_attached FOR VALUES FROM ('2025-01-01 00:00+00') TO (MAXVALUE);
CREATE TABLE odd.by_range_default PARTITION OF odd.by_range DEFAULT;
INSERT INTO odd.by_range SELECT g, timestamptz '2023-06-01 00:00+00' + g * interval '1 day', jsonb_build_object('n', g) FROM generate_series(1, 1000) g;
ALTER TABLE odd.by_range ADD PRIMARY KEY (id, at);
CREATE INDEX by_range_label ON odd.by_range (label);
CREATE INDEX "own index of one partition" ON odd.by_range_2024_low ((payload ->> 'n'));
CREATE INDEX prepared_here ON odd.by_range_2023 (id);
CREATE INDEX by_range_id ON ONLY odd.by_range (id);
ALTER INDEX odd.by_range_id ATTACH PARTITION odd.prepared_here;
CREATE TABLE odd.by_list (code text, v int) PARTITION BY LIST (lower(code));
CREATE TABLE odd."by_list 'quoted'" PARTITION OF odd.by_list FOR VALUES IN ('it''s', NULL, E'tab\t', '\.');
CREATE TABLE odd.by_list_default PARTITION OF odd.by_list DEFAULT;
INSERT INTO odd.by_list VALUES ('it''s', 1), (NULL, 2), (E'tab\t', 3), ('\.', 4), ('other', 5);
-- hash partitioning of an enum: rows may belong elsewhere after a restore (pg_dump loads such tables through the root)
CREATE TABLE odd.by_enum (m odd.mood, v int) PARTITION BY HASH (m);
CREATE TABLE odd.by_enum_0 PARTITION OF odd.by_enum FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE odd.by_enum_1 PARTITION OF odd.by_enum FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE odd.by_nothing (id int) PARTITION BY RANGE (id);
CREATE TABLE odd.refers_to_partitioned (id int PRIMARY KEY, r_id bigint, r_at timestamptz,
  FOREIGN KEY (r_id, r_at) REFERENCES odd.by_range (id, at));
INSERT INTO odd.refers_to_partitioned SELECT id, id, at FROM odd.by_range WHERE id <= 20;
COMMENT ON TABLE odd.by_range_2024 IS 'a partition that is partitioned';

-- Constraints and indexes ------------------------------------------------------------------------------------------------
CREATE TABLE odd.tree (id int PRIMARY KEY, parent int REFERENCES odd.tree, label text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO odd.tree SELECT g, NULLIF(g / 2, 0), 'node ' || g FROM generate_series(1, 100) g;
UPDATE odd.tree SET parent = 100 WHERE id = 1;
CREATE TABLE odd.chicken (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE odd.egg (id int PRIMARY KEY, chicken int NOT NULL REFERENCES odd.chicken ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE odd.chicken ADD CONSTRAINT "which was first?" FOREIGN KEY (egg) REFERENCES odd.egg DEFERRABLE;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO odd.chicken SELECT g, g FROM generate_series(1, 10) g;
INSERT INTO odd.egg SELECT g, g FROM generate_series(1, 10) g;
COMMIT;
CREATE TABLE odd.composite (a int, b text, c int, PRIMARY KEY (a, b) INCLUDE (c), UNIQUE NULLS NOT DISTINCT (c));
INSERT INTO odd.composite VALUES (1, 'x', 1), (1, 'y', NULL);
CREATE TABLE odd.refers_composite (a int, b text, FOREIGN KEY (a, b) REFERENCES odd.composite (a, b) MATCH FULL ON UPDATE CASCADE
  ON DELETE SET NULL);
INSERT INTO odd.refers_composite VALUES (1, 'x'), (NULL, NULL);
CREATE TABLE odd.not_valid (id int, plain_id int);
INSERT INTO odd.not_valid VALUES (1, 1), (2, 999999), (-3, NULL);
ALTER TABLE odd.not_valid ADD CONSTRAINT nv_fk FOREIGN KEY (plain_id) REFERENCES odd.plain NOT VALID;
ALTER TABLE odd.not_valid ADD CONSTRAINT nv_check CHECK (id > 0) NOT VALID;
CREATE TABLE odd.rooms (room int, during tstzrange, CONSTRAINT "no overlap" EXCLUDE USING gist (room ext.gist_int4_ops WITH =, during WITH &&)
  WHERE (room > 0) DEFERRABLE);
INSERT INTO odd.rooms VALUES (1, '[2024-01-01,2024-01-02)'), (1, '[2024-01-02,2024-01-03)'), (0, NULL), (0, NULL);
CREATE INDEX plain_expr ON odd.plain (lower(v) text_pattern_ops DESC NULLS LAST) INCLUDE (touched) WHERE id > 10;
CREATE INDEX plain_backwards ON odd.plain (id odd.backwards_ops);
CREATE INDEX plain_trgm ON odd.plain USING gin (v public.gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX plain_brin ON odd.plain USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX plain_hash ON odd.plain USING hash (v);
CREATE UNIQUE INDEX "index ""quoted""" ON odd.plain (id, (v || '\.'));
CREATE INDEX plain_trgm_gist ON odd.plain USING gist (v public.gist_trgm_ops (siglen = 32));
ALTER INDEX odd.plain_expr ALTER COLUMN 1 SET STATISTICS 400;
ALTER TABLE odd.plain CLUSTER ON plain_pkey;
ALTER TABLE odd.composite REPLICA IDENTITY USING INDEX composite_pkey;
ALTER TABLE odd.tree REPLICA IDENTITY NOTHING;
COMMENT ON INDEX odd.plain_expr IS 'an index';
COMMENT ON CONSTRAINT "no overlap" ON odd.rooms IS 'a constraint';
CREATE STATISTICS odd.plain_stats (ndistinct, mcv) ON id, v, (length(v)) FROM odd.plain;
ALTER STATISTICS odd.plain_stats SET STATISTICS 55;
COMMENT ON STATISTICS odd.plain_stats IS 'statistics';
ALTER STATISTICS odd.plain_stats OWNER TO odd_owner;

-- Views, rules, materialised views -------------------------------------------------------------------------------------
CREATE VIEW odd.barrier WITH (security_barrier) AS SELECT id, v FROM odd.plain WHERE id < 100;
CREATE VIEW odd.invoker WITH (security_invoker) AS SELECT * FROM odd.barrier;
CREATE VIEW odd.checked AS SELECT id, v FROM odd.plain WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW odd.checked_locally WITH (check_option = local) AS SELECT * FROM odd.checked WHERE id > 5;
CREATE RECURSIVE VIEW odd.numbers_to (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM numbers_to WHERE n < 10;
-- grouped by a primary key: the view needs the constraint, so pg_dump makes it in two steps
CREATE VIEW odd.grouped AS SELECT t.id, t.label, count(c.id) AS children FROM odd.tree t LEFT JOIN odd.tree c ON c.parent = t.id
  GROUP BY t.id;
ALTER TABLE odd.composite ADD COLUMN label text;
CREATE VIEW odd.grouped_by_pkey AS SELECT p.id, p.v, p.touched, count(*) FROM odd.plain p GROUP BY p.id;
CREATE VIEW odd."view ""q"" \ é" ("c ""1""", "\.") AS SELECT 1, E'\\.\n'::text;
CREATE VIEW odd.no_columns_view AS SELECT;
ALTER VIEW odd.barrier ALTER COLUMN v SET DEFAULT 'the view''s default';
COMMENT ON VIEW odd.barrier IS 'a view';
COMMENT ON COLUMN odd.barrier.id IS 'a column of a view';
CREATE MATERIALIZED VIEW odd.mat_one AS SELECT touched, count(*) AS n FROM odd.plain GROUP BY 1;
CREATE MATERIALIZED VIEW odd.a_mat_of_mat WITH (fillfactor = 80) AS SELECT sum(n) AS total FROM odd.mat_one;
CREATE MATERIALIZED VIEW odd.a_mat_of_grouped AS SELECT max(count) AS most FROM odd.grouped_by_pkey;
CREATE MATERIALIZED VIEW odd.mat_unpopulated AS SELECT * FROM odd.plain WITH NO DATA;
CREATE MATERIALIZED VIEW odd.mat_of_unpopulated AS SELECT count(*) FROM odd.mat_unpopulated WITH NO DATA;
CREATE UNIQUE INDEX mat_one_key ON odd.mat_one (touched);
COMMENT ON MATERIALIZED VIEW odd.mat_one IS 'a materialised view';
GRANT SELECT ON odd.mat_one TO odd_reader;
CREATE RULE soft_delete AS ON DELETE TO odd.parent_two WHERE OLD.id < 0 DO INSTEAD NOTHING;
CREATE RULE "rule ""q""" AS ON INSERT TO odd.checked DO ALSO NOTIFY odd_channel;
ALTER TABLE odd.parent_two DISABLE RULE soft_delete;
COMMENT ON RULE soft_delete ON odd.parent_two IS 'a rule';

-- Triggers ---------------------------------------------------------------------------------------------------------------
CREATE TRIGGER touch BEFORE UPDATE OF v ON odd.plain FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v) EXECUTE FUNCTION odd.touch();
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT OR DELETE ON odd.plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd.no_op();
CREATE TRIGGER "trigger ""q"" \." AFTER UPDATE ON odd.plain REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION odd.no_op('arg', '\.', E'tab\t', '');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON odd.plain FOR EACH STATEMENT EXECUTE FUNCTION odd.no_op();
CREATE TRIGGER on_partitions AFTER INSERT ON odd.by_range FOR EACH ROW EXECUTE FUNCTION odd.no_op();
CREATE TRIGGER of_view INSTEAD OF INSERT ON odd.barrier FOR EACH ROW EXECUTE FUNCTION odd.no_op();
-- fires while data is loaded, unless triggers are made after the data
CREATE FUNCTION odd.never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'data loaded under a trigger'; END $$;
CREATE TRIGGER never_fires BEFORE INSERT OR UPDATE OR DELETE ON odd.texts FOR EACH ROW EXECUTE FUNCTION odd.never();
ALTER TABLE odd.texts ENABLE ALWAYS TRIGGER never_fires;
ALTER TABLE odd.plain DISABLE TRIGGER no_truncate;
ALTER TABLE odd.plain ENABLE REPLICA TRIGGER at_the_end;
ALTER TABLE odd.by_range_2023 DISABLE TRIGGER on_partitions;
COMMENT ON TRIGGER touch ON odd.plain IS 'a trigger';
CREATE FUNCTION odd.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF tg_tag = 'CREATE TABLE' AND EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%forbidden%') THEN
    RAISE EXCEPTION 'not this table';
  END IF;
END $$;
CREATE EVENT TRIGGER odd_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION odd.on_ddl();
CREATE EVENT TRIGGER odd_disabled ON sql_drop EXECUTE FUNCTION odd.on_ddl();
ALTER EVENT TRIGGER odd_disabled DISABLE;
COMMENT ON EVENT TRIGGER odd_ddl IS 'an event trigger';

-- Row-level security -----------------------------------------------------------------------------------------------------
CREATE TABLE odd.secrets (id int PRIMARY KEY, owner text NOT NULL, secret text);
INSERT INTO odd.secrets SELECT g, CASE WHEN g % 2 = 0 THEN 'odd_owner' ELSE 'odd_reader' END, md5(g::text) FROM generate_series(1, 200) g;
ALTER TABLE odd.secrets OWNER TO odd_owner;
ALTER TABLE odd.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE odd.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY "own rows" ON odd.secrets FOR SELECT TO odd_owner, odd_reader USING (owner = current_user);
CREATE POLICY narrow ON odd.secrets AS RESTRICTIVE FOR ALL TO PUBLIC USING (id > 0) WITH CHECK (secret <> '\.');
CREATE POLICY writer ON odd.secrets FOR INSERT TO odd_writer WITH CHECK (true);
COMMENT ON POLICY narrow ON odd.secrets IS 'a policy';
GRANT SELECT ON odd.secrets TO odd_reader;
CREATE TABLE odd.locked (id int);
INSERT INTO odd.locked VALUES (1);
ALTER TABLE odd.locked OWNER TO odd_owner;
ALTER TABLE odd.locked FORCE ROW LEVEL SECURITY;

-- Foreign data -----------------------------------------------------------------------------------------------------------
CREATE FOREIGN DATA WRAPPER odd_wrapper OPTIONS (debug 'true', "it's" 'a ''value''');
CREATE SERVER odd_files FOREIGN DATA WRAPPER file_fdw;
CREATE SERVER odd_remote TYPE 'a type' VERSION '1.0' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nonexistent', dbname 'no''thing');
CREATE USER MAPPING FOR odd_reader SERVER odd_remote OPTIONS (user 'u', password 'p''w\');
CREATE USER MAPPING FOR PUBLIC SERVER odd_remote;
CREATE FOREIGN TABLE odd.remote (id int OPTIONS (column_name 'ID') NOT NULL, v text DEFAULT 'x', CHECK (id > 0)) SERVER odd_remote OPTIONS (table_name 't "q"');
CREATE FOREIGN TABLE odd.of_file (line text) SERVER odd_files OPTIONS (filename '/nonexistent/file', format 'text', delimiter E'\x01');
-- A partition on a server that does not answer: whoever reads the whole table, ANALYZE too, gets an error.
CREATE TABLE odd.half_remote (code text, v int) PARTITION BY LIST (code);
CREATE TABLE odd.half_remote_near PARTITION OF odd.half_remote FOR VALUES IN ('near');
CREATE FOREIGN TABLE odd.half_remote_far PARTITION OF odd.half_remote FOR VALUES IN ('far') SERVER odd_remote;
INSERT INTO odd.half_remote_near VALUES ('near', 1), ('near', 2);
COMMENT ON FOREIGN TABLE odd.remote IS 'a foreign table';
COMMENT ON SERVER odd_remote IS 'a server';
COMMENT ON FOREIGN DATA WRAPPER odd_wrapper IS 'a wrapper';
GRANT USAGE ON FOREIGN SERVER odd_remote TO odd_reader WITH GRANT OPTION;
GRANT USAGE ON FOREIGN DATA WRAPPER odd_wrapper TO odd_writer;

-- Publications -----------------------------------------------------------------------------------------------------------
CREATE PUBLICATION odd_all FOR ALL TABLES WITH (publish = 'insert, truncate', publish_via_partition_root);
CREATE PUBLICATION "odd some ""q""" FOR TABLE odd.plain (id, v) WHERE (id > 10 AND v <> '\.'), ONLY odd.parent_one
  WITH (publish = 'insert');
CREATE PUBLICATION odd_schema FOR TABLES IN SCHEMA odd_empty, TABLE odd.secrets;
CREATE PUBLICATION odd_none;
COMMENT ON PUBLICATION odd_all IS 'a publication';
ALTER PUBLICATION odd_none OWNER TO odd_admin;

-- Rights -----------------------------------------------------------------------------------------------------------------
ALTER TABLE odd.plain OWNER TO odd_owner;
GRANT SELECT, UPDATE ON odd.plain TO odd_reader WITH GRANT OPTION;
GRANT SELECT (id), UPDATE (v), REFERENCES (id, v) ON odd.plain TO odd_writer WITH GRANT OPTION;
SET ROLE odd_reader;
GRANT SELECT ON odd.plain TO "odd ""quoted"" role, with spaces";
RESET ROLE;
REVOKE ALL ON odd.empty_table FROM postgres;
GRANT ALL ON odd."FROM stdin" TO PUBLIC;
GRANT SELECT ("\.") ON odd."FROM stdin" TO odd_reader;
ALTER TABLE odd."table ""quoted"", with spaces" OWNER TO "odd ""quoted"" role, with spaces";
ALTER DEFAULT PRIVILEGES FOR ROLE odd_owner IN SCHEMA odd GRANT SELECT ON TABLES TO odd_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE odd_owner IN SCHEMA odd GRANT USAGE ON SEQUENCES TO odd_writer WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE odd_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE odd_owner REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE odd_admin GRANT USAGE ON SCHEMAS TO odd_reader;
GRANT USAGE ON LANGUAGE odd_language TO odd_reader WITH GRANT OPTION;

-- Large objects ----------------------------------------------------------------------------------------------------------
SELECT lo_from_bytea(424201, 'a small one'), lo_from_bytea(424202, ''),
       lo_from_bytea(424203, decode(repeat('005c2e0aff27', 500000), 'hex')), lo_create(424204), lo_from_bytea(424205, '\x5c2e0a'),
       lo_from_bytea(4000000000, 'a high number') \g /dev/null
SELECT lo_put(424204, 1000000, 'after a hole of a million bytes') \g /dev/null
ALTER LARGE OBJECT 424201 OWNER TO odd_owner;
GRANT SELECT, UPDATE ON LARGE OBJECT 424201 TO odd_reader;
GRANT SELECT ON LARGE OBJECT 424202 TO odd_writer WITH GRANT OPTION;
REVOKE ALL ON LARGE OBJECT 424203 FROM postgres;
GRANT SELECT ON LARGE OBJECT 424205 TO PUBLIC;
COMMENT ON LARGE OBJECT 424201 IS E'a large object''s comment\n\\.';
CREATE TABLE odd.documents (id int PRIMARY KEY, lo oid);
INSERT INTO odd.documents VALUES (1, 424201), (2, 424203), (3, 999999);

-- The database's own settings --------------------------------------------------------------------------------------------
-- Last, because they change later sessions: a backup that trusts a session's defaults gets other text.
DO $$
DECLARE
  db text := quote_ident(current_database());
BEGIN
  EXECUTE 'ALTER DATABASE ' || db || ' SET search_path = odd, "$user", public';
  EXECUTE 'ALTER DATABASE ' || db || ' SET DateStyle = ''German, DMY''';
  EXECUTE 'ALTER DATABASE ' || db || ' SET IntervalStyle = iso_8601';
  EXECUTE 'ALTER DATABASE ' || db || ' SET TimeZone = ''Asia/Kathmandu''';
  EXECUTE 'ALTER DATABASE ' || db || ' SET extra_float_digits = -5';
  EXECUTE 'ALTER DATABASE ' || db || ' SET bytea_output = escape';
  EXECUTE 'ALTER DATABASE ' || db || ' SET statement_timeout = ''60s''';
  EXECUTE 'ALTER DATABASE ' || db || ' SET idle_in_transaction_session_timeout = ''1s''';
  EXECUTE 'ALTER DATABASE ' || db || ' SET default_transaction_isolation = serializable';
  EXECUTE 'ALTER DATABASE ' || db || ' SET work_mem = ''3MB''';
  EXECUTE 'ALTER DATABASE ' || db || ' SET "odd.setting" = ''it''''s "quoted", \ and %''';
  EXECUTE 'ALTER ROLE odd_reader IN DATABASE ' || db || ' SET search_path = odd';
  EXECUTE 'ALTER ROLE odd_reader IN DATABASE ' || db || ' SET statement_timeout = ''5s''';
  EXECUTE 'COMMENT ON DATABASE ' || db || ' IS ''an odd database; it''''s all here''';
  EXECUTE 'GRANT CONNECT, TEMPORARY ON DATABASE ' || db || ' TO odd_reader WITH GRANT OPTION';
  EXECUTE 'REVOKE TEMPORARY ON DATABASE ' || db || ' FROM PUBLIC';
  EXECUTE 'GRANT CREATE ON DATABASE ' || db || ' TO odd_owner';
  EXECUTE 'ALTER DATABASE ' || db || ' CONNECTION LIMIT 90';
END $$;
