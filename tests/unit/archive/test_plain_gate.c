/* Which statements of somebody else's dump are run. */
#include "archive/plain_gate.h"

static const struct {
    const char *sql;
    enum plain_verdict verdict;
} cases[] = {
    /* as pg_dump writes them */
    {"SET statement_timeout = 0;", PLAIN_ALLOWED},
    {"SELECT pg_catalog.set_config('search_path', '', false);", PLAIN_ALLOWED},
    {"SELECT pg_catalog.setval('public.s', 7, true);", PLAIN_ALLOWED},
    {"SELECT pg_catalog.lo_open('16400', 131072);", PLAIN_ALLOWED},
    {"SELECT pg_catalog.lowrite(0, '\\x00');", PLAIN_ALLOWED},
    {"SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180000'::integer);", PLAIN_ALLOWED},
    {"CREATE TABLE public.role (a int);", PLAIN_ALLOWED},
    {"CREATE USER MAPPING FOR x SERVER y OPTIONS (password 'z');", PLAIN_ALLOWED},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$DROP DATABASE x;$$;", PLAIN_ALLOWED},
    {"CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, slot_name = 's');", PLAIN_ALLOWED},
    {"ALTER SUBSCRIPTION s OWNER TO x;", PLAIN_ALLOWED},
    {"ALTER TABLE public.a OWNER TO role;", PLAIN_ALLOWED},
    {"ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA y GRANT SELECT ON TABLES TO z;", PLAIN_ALLOWED},
    {"GRANT SELECT ON TABLE public.a TO x;", PLAIN_ALLOWED},
    {"REVOKE GRANT OPTION FOR SELECT ON TABLE public.a FROM x;", PLAIN_ALLOWED},
    {"COMMENT ON TABLE a IS 'DROP DATABASE x';", PLAIN_ALLOWED},
    {"SECURITY LABEL FOR x ON TABLE a IS 'y';", PLAIN_ALLOWED},
    {"DROP TABLE IF EXISTS a;", PLAIN_ALLOWED},
    {"INSERT INTO a VALUES (1);", PLAIN_ALLOWED},
    {"REFRESH MATERIALIZED VIEW a;", PLAIN_ALLOWED},
    {"BEGIN;", PLAIN_ALLOWED},
    {"  -- nothing\n ;", PLAIN_ALLOWED},
    {"/* nothing */", PLAIN_ALLOWED},
    {"COPY public.a (id, \"no)te\") FROM stdin;", PLAIN_COPY},
    {"copy \"A \"\"b\".\"c;d\" from STDIN ;", PLAIN_COPY},
    {"COPY public.a  FROM stdin;", PLAIN_COPY},
    {"COPY from FROM stdin;", PLAIN_COPY},
    /* beyond the database */
    {"CREATE DATABASE x;", PLAIN_BEYOND},
    {"create\tdatabase x;", PLAIN_BEYOND},
    {"/* a /* nested */ */ CREATE -- b\n DATABASE x;", PLAIN_BEYOND},
    {"ALTER SYSTEM SET x = 1;", PLAIN_BEYOND},
    {"alter role x superuser;", PLAIN_BEYOND},
    {"ALTER USER x PASSWORD 'y';", PLAIN_BEYOND},
    {"CREATE USER x;", PLAIN_BEYOND},
    {"CREATE GROUP x;", PLAIN_BEYOND},
    {"DROP OWNED BY x;", PLAIN_BEYOND},
    {"DROP SUBSCRIPTION x;", PLAIN_BEYOND},
    {"DROP TABLESPACE x;", PLAIN_BEYOND},
    {"REASSIGN OWNED BY x TO y;", PLAIN_BEYOND},
    {"GRANT x TO y;", PLAIN_BEYOND},
    {"GRANT pg_execute_server_program TO y;", PLAIN_BEYOND},
    {"REVOKE x FROM y;", PLAIN_BEYOND},
    {"GRANT ALL ON DATABASE x TO y;", PLAIN_BEYOND},
    {"GRANT SET ON PARAMETER x TO y;", PLAIN_BEYOND},
    {"COMMENT ON DATABASE x IS 'y';", PLAIN_BEYOND},
    {"COMMENT ON ROLE x IS 'y';", PLAIN_BEYOND},
    {"SECURITY LABEL FOR a ON ROLE x IS 'y';", PLAIN_BEYOND},
    {"CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p;", PLAIN_BEYOND},
    {"CREATE SUBSCRIPTION s CONNECTION 'connect = false' PUBLICATION p;", PLAIN_BEYOND},
    {"CREATE SUBSCRIPTION s CONNECTION E'\\' connect = false' PUBLICATION p;", PLAIN_BEYOND},
    {"CREATE SUBSCRIPTION s CONNECTION $$ connect = false $$ PUBLICATION p;", PLAIN_BEYOND},
    {"ALTER SUBSCRIPTION s CONNECTION 'owner to';", PLAIN_BEYOND},
    {"ALTER SUBSCRIPTION s ENABLE;", PLAIN_BEYOND},
    {"COPY a FROM '/etc/passwd';", PLAIN_BEYOND},
    {"COPY a FROM PROGRAM 'id';", PLAIN_BEYOND},
    {"COPY a (b) /* FROM stdin */ FROM PROGRAM 'id';", PLAIN_BEYOND},
    {"COPY a TO PROGRAM 'id';", PLAIN_BEYOND},
    {"COPY (SELECT 1) TO PROGRAM 'id';", PLAIN_BEYOND},
    {"copy a.b to '/tmp/x';", PLAIN_BEYOND},
    {"LOAD 'x';", PLAIN_BEYOND},
    /* nothing of pg_dump's */
    {"COPY a FROM stdin WITH (FORMAT csv);", PLAIN_UNUSUAL},
    {"DO $$BEGIN EXECUTE 'ALTER ROLE x SUPERUSER'; END$$;", PLAIN_UNUSUAL},
    {"SELECT pg_read_file('x');", PLAIN_UNUSUAL},
    {"SELECT public.setval('x', 1);", PLAIN_UNUSUAL},
    {"SELECT pg_catalog.lo_export(1, 'x');", PLAIN_UNUSUAL},
    {"SELECT pg_catalog.set_config('session_preload_libraries', 'x', false);", PLAIN_UNUSUAL},
    {"CALL x();", PLAIN_UNUSUAL},
    {"EXECUTE x;", PLAIN_UNUSUAL},
    {"WITH x AS (SELECT 1) SELECT 2;", PLAIN_UNUSUAL},
    {"VACUUM;", PLAIN_UNUSUAL},
    {"\"set\" x = 1;", PLAIN_UNUSUAL},
};

static void statements_are_judged_by_what_they_act_on(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        if (plain_gate_judge(cases[i].sql) != cases[i].verdict)
            g_error("%s: %d, expected %d", cases[i].sql, plain_gate_judge(cases[i].sql), cases[i].verdict);
}

static void names_of_copied_tables_are_as_they_stand(void)
{
    g_autofree char *plain = plain_gate_copy_table("COPY public.a (id) FROM stdin;");
    g_autofree char *quoted = plain_gate_copy_table("-- x\ncopy \"A (b\".c from stdin;");
    g_assert_cmpstr(plain, ==, "public.a");
    g_assert_cmpstr(quoted, ==, "\"A (b\".c");
}

static void excerpts_hold_no_values(void)
{
    g_autofree char *role = plain_gate_excerpt("ALTER ROLE x PASSWORD 'secret';");
    g_autofree char *quoted = plain_gate_excerpt("ALTER ROLE \"x\" PASSWORD 'secret';");
    g_assert_cmpstr(role, ==, "alter role x");
    g_assert_cmpstr(quoted, ==, "alter role");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plain_gate/verdicts", statements_are_judged_by_what_they_act_on);
    g_test_add_func("/plain_gate/copied", names_of_copied_tables_are_as_they_stand);
    g_test_add_func("/plain_gate/excerpts", excerpts_hold_no_values);
    return g_test_run();
}
