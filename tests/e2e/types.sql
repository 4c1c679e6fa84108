-- Whatever text each type takes, of many that are tried: written, read and written again. What is left in `found` is not
-- a fixed point.
CREATE EXTENSION cube; CREATE EXTENSION seg; CREATE EXTENSION ltree; CREATE EXTENSION hstore;
CREATE EXTENSION intarray; CREATE EXTENSION isn; CREATE EXTENSION citext; CREATE EXTENSION lo;
SET datestyle = 'ISO'; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = 'UTC';
SET xmloption = content; SET client_min_messages = warning;
CREATE TABLE pool (v text);
INSERT INTO pool VALUES (''),(' '),('0'),('1'),('-1'),('1.5'),('1e-7'),('1e300'),('NaN'),('Infinity'),('-0'),('0.1'),('3.4028235e38'),('2.2250738585072014e-308'),('99999999999'),
('abc'),('ABC '),(E'a\nb'),(E'\n\n<a/>'),(E'<?xml version="1.0"?>\n\n<a/>'),(E'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>  <a/>'),('<a>x</a>'),(E'<!-- c -->\n<a/>'),(E'\r\n<a/>'),('<?xml version="1.1"?><a/>'),
('true'),('t'),('off'),('{}'),('{"b":1,"a":[1, 2 ,3]}'),('{"a":1,"a":2}'),('"\u00e9"'),('1.0'),('1.50e2'),('$.a[*] ? (@.b > 1 && @.c like_regex "x" flag "i")'),('$'),('lax $.a.b[0 to last]'),('strict $."x y"."1a".double()'),('$.a.datetime("HH24")'),('(($.a + 1) * -2).abs()'),('-$.a'),('$.* ? (!(@ == null) || exists(@.z))'),('$.**{1 to 3}'),('$ ? (@ starts with "a" is unknown)'),
('(1,2)'),('((1,2),(3,4))'),('[(1,2),(3,4)]'),('<(1,2),3>'),('{1,2,3}'),('(3,4),(1,2)'),('((0.1,0.2),(0.3,1e-20))'),('1,2,3,4'),('{1,-1,0.1}'),
('2020-02-29'),('0001-01-01 BC'),('infinity'),('-infinity'),('12:34:56.789'),('24:00:00'),('12:00:00+05:30:15'),('2020-01-01 00:00:00.123456+01'),('4713-01-01 00:00:00 BC'),('294276-12-31 23:59:59'),('1883-11-18 12:03:58-04:56:02'),
('1 mon -1 day'),('-1 year 2 mons 3 days -04:05:06.7'),('P1Y2M-3DT4H'),('1.5 years'),('-00:00:01'),('178000000 years'),('1 day ago'),
('10.0.0.1'),('10.1.0.0/16'),('::1/64'),('::ffff:1.2.3.4'),('08:00:2b:01:02:03'),('08:00:2b:01:02:03:04:05'),
('101'),('B101'),('x'''),('\x00ff'),('\\000a'),('16/B374D848'),('10:20:10,14,15'),('100:150:101'),('(0,1)'),
('a b c'),('''a'':1A,2B b:3'),('fat & (rat | !cat) <-> dog'),('!!a'),('a <2> b & c:*AB'),('''it''''s'''),('a\b'),('(a & b) | c <-> (d | e)'),('!(a <-> b)'),
('{a,"b c",NULL}'),('[1,10)'),('(,5]'),('empty'),('{[1,2),[5,7)}'),('[2020-01-01,2020-02-01)'),('["2020-01-01 00:00","2021-01-01 00:00")'),
('postgres=arwdDxt/postgres'),('=r/postgres'),('"postgres"=r*w/postgres'),('pg_class'),('pg_catalog.pg_class'),('now'),('now()'),('abs(integer)'),('+'),('+(integer,integer)'),('integer'),('numeric(5,2)'),('postgres'),('english'),('simple'),('99999'),('-'),('pg_catalog'),('"C"'),('timestamp(3) with time zone'),('varchar(10)[]'),('"char"'),('interval day to second'),('bit varying(3)'),
('$1.50'),('-$1,234.56'),('(1)'),('(1,2),(3,4)'),('1.0 .. 2.0'),('<1'),('~1.5'),('1.0 (+-) 0.1'),('1.. '),('5(+-)0.3'),('1.234567 .. 2'),('0.0012300'),
('a.b.c'),('*.a{1,2}.b@*'),('a|b.!c*'),('a & b@*'),('!a & (b|c)'),('"a"=>"1", b=>NULL'),('a=>1,a=>2'),('1&(2|!3)'),('978-0-393-04002-9'),('0-393-04002-X'),('978-0-393-04002-0!'),('ISSN 1436-4522'),('1436-4522'),('036000291452'),('M-2306-7118-7'),
('00000000-0000-0000-0000-000000000001'),('{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'),('1 2 3'),(E'\u00e4'),('1 2'),('18446744073709551615'),('a'||chr(9)||'b'),('\200'),('\377'),('''''');
CREATE TABLE found(type text, v text, t0 text, t1 text);
DO $$ DECLARE t record; p record; a text; b text; n int := 0; BEGIN
FOR t IN SELECT oid, format_type(oid, NULL) AS name FROM pg_type WHERE typtype IN ('b','r','m') AND typcategory <> 'A' AND typname NOT LIKE 'pg_node_tree' LOOP
 FOR p IN SELECT v FROM pool LOOP
  BEGIN
   EXECUTE format('SELECT format(''%%s'', %L::%s)', p.v, t.name) INTO a;
   n := n + 1;
   BEGIN EXECUTE format('SELECT format(''%%s'', %L::%s)', a, t.name) INTO b; EXCEPTION WHEN OTHERS THEN b := 'ERR '||SQLERRM; END;
   IF a IS DISTINCT FROM b THEN INSERT INTO found VALUES (t.name, p.v, a, b); END IF;
  EXCEPTION WHEN OTHERS THEN NULL; END;
 END LOOP; END LOOP; EXECUTE format('COMMENT ON TABLE pool IS %L', n);
END $$;
