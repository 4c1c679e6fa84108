-- A database in another encoding: load it into one made with ENCODING 'LATIN1' (LOCALE 'C', TEMPLATE template0).
-- This file is UTF-8; the server converts. Everything in it exists in Latin-1.
\set ON_ERROR_STOP 1
\set QUIET 1
\encoding UTF8
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA "Bücher";
CREATE TYPE "Bücher"."größe" AS ENUM ('groß', 'mäßig', 'Ñandú', 'klein');
CREATE TABLE "Bücher"."Verkäufe" (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Käufer" text NOT NULL DEFAULT 'Müller', "größe" "Bücher"."größe",
  "Länge" int GENERATED ALWAYS AS (length("Käufer")) STORED, preis numeric(9, 2), roh bytea, felder text[]);
INSERT INTO "Bücher"."Verkäufe" ("Käufer", "größe", preis, roh, felder)
  SELECT (ARRAY['Jürgen', 'José', 'Zoë', 'Øyvind', 'Ægir', '\.', 'ÿ', E'tab\tÄ\nÖ\\Ü'])[1 + g % 8] || g,
         (ARRAY['groß', 'mäßig', 'Ñandú', 'klein'])[1 + g % 4]::"Bücher"."größe", g * 1.19, decode(md5(g::text), 'hex'),
         ARRAY['ä', NULL, '"ö"', 'ü,ß']
  FROM generate_series(1, 2000) g;
CREATE INDEX "Käufer_idx" ON "Bücher"."Verkäufe" (lower("Käufer"));
-- every character that Latin-1 has and that a text may hold
CREATE TABLE zeichen (code int PRIMARY KEY, z text);
INSERT INTO zeichen SELECT g, chr(g) FROM generate_series(1, 255) g;
CREATE FUNCTION "Bücher"."für"("wörter" text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'ü' || $1 || '£¥§' $$;
CREATE VIEW "Bücher"."Übersicht" AS SELECT "größe", count(*) AS "Zähler" FROM "Bücher"."Verkäufe" GROUP BY 1;
CREATE MATERIALIZED VIEW "Bücher"."Überblick" AS SELECT * FROM "Bücher"."Übersicht";
CREATE SEQUENCE "Zähler";
SELECT setval('"Zähler"', 42) \g /dev/null
COMMENT ON TABLE "Bücher"."Verkäufe" IS 'Gemütliche Bemerkung: 100 % für £ 5';
SELECT lo_from_bytea(424301, '\xe4f6fc5c2e0a') \g /dev/null
COMMENT ON LARGE OBJECT 424301 IS 'ein großes Objekt';
