/* Quotes, bodies and comments as PostgreSQL reads them, line by line. */
#include "archive/sqllex.h"

#include <string.h>

static const struct {
    const char *text; /* lines separated by \n; the state is looked at after the last */
    enum sqllex_state state;
} cases[] = {
    {"", SQLLEX_PLAIN},
    {"SELECT 1;", SQLLEX_PLAIN},
    {"SELECT 'it''s';", SQLLEX_PLAIN},
    {"SELECT 'open", SQLLEX_STRING},
    {"SELECT 'open\nstill", SQLLEX_STRING},
    {"SELECT 'open\nclosed' ;", SQLLEX_PLAIN},
    {"SELECT 'back\\';", SQLLEX_PLAIN},
    {"SELECT E'back\\';", SQLLEX_ESCAPE_STRING},
    {"SELECT E'back\\'';", SQLLEX_PLAIN},
    {"SELECT nameE'back\\';", SQLLEX_PLAIN},
    {"SELECT E'two\\\\';", SQLLEX_PLAIN},
    {"SELECT \"a\"\"b\";", SQLLEX_PLAIN},
    {"SELECT \"it's", SQLLEX_NAME},
    {"SELECT 1 -- it's a 'comment", SQLLEX_PLAIN},
    {"SELECT '--'", SQLLEX_PLAIN},
    {"/* it's", SQLLEX_COMMENT},
    {"/* a /* b */", SQLLEX_COMMENT},
    {"/* a /* b */ */ SELECT", SQLLEX_PLAIN},
    {"AS $$", SQLLEX_DOLLAR},
    {"AS $$\nCOPY x FROM stdin;\n'", SQLLEX_DOLLAR},
    {"AS $$\nit's\n$$ LANGUAGE sql;", SQLLEX_PLAIN},
    {"AS $body$ $$ ' $other$", SQLLEX_DOLLAR},
    {"AS $body$ $$ ' $other$\n$body$;", SQLLEX_PLAIN},
    {"SELECT a$b$c", SQLLEX_PLAIN},
    {"SELECT $1, $2", SQLLEX_PLAIN},
    {"SELECT $1$", SQLLEX_PLAIN},
};

/* Reads all lines; the ends of statements are gathered as what stands between them. */
static struct sqllex read_text(const char *text, GPtrArray *statements)
{
    struct sqllex lex = {0};
    g_autoptr(GString) statement = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        gsize length = strlen(*line);
        for (gsize at = 0; at < length;) {
            gboolean end = FALSE;
            gsize n = sqllex_take(&lex, *line + at, length - at, &end);
            g_string_append_len(statement, *line + at, (gssize)n);
            at += n;
            if (end) {
                g_ptr_array_add(statements, g_strdup(statement->str));
                g_string_truncate(statement, 0);
            }
        }
        g_string_append_c(statement, ' ');
    }
    return lex;
}

static void states_are_those_of_postgresql(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) statements = g_ptr_array_new_with_free_func(g_free);
        struct sqllex lex = read_text(cases[i].text, statements);
        if (lex.state != cases[i].state)
            g_error("case %zu, %s: state %d, expected %d", i, cases[i].text, lex.state, cases[i].state);
    }
}

/* How many statements psql would send. */
static const struct {
    const char *text;
    guint statements;
} ends[] = {
    {"SELECT 1;", 1},
    {"SELECT 1; SELECT 2;", 2},
    {"SELECT ';';", 1},
    {"SELECT \";\" /* ; */ -- ;\n;", 1},
    {"SELECT $$;$$;", 1},
    {"CREATE RULE r AS ON INSERT TO a DO ALSO (DELETE FROM b; DELETE FROM c);", 1},
    {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;", 1},
    {"create or replace procedure p() begin atomic select case when true then 1 end; select 2; end; SELECT 3;", 2},
    {"CREATE FUNCTION f(x int DEFAULT (1)) RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2;';", 1},
    {"BEGIN; COMMIT;", 2},
    {"CREATE TABLE begin (a int); SELECT 1;", 2},
    {"SELECT 1; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2;", 3},
};

static void statements_end_where_those_of_psql_do(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autoptr(GPtrArray) statements = g_ptr_array_new_with_free_func(g_free);
        read_text(ends[i].text, statements);
        if (statements->len != ends[i].statements)
            g_error("%s: %u statements, expected %u", ends[i].text, statements->len, ends[i].statements);
    }
}

static void strings_escape_where_that_is_set(void)
{
    struct sqllex lex = {.strings_escape = TRUE};
    gboolean end;
    sqllex_take(&lex, "SELECT 'a\\';", strlen("SELECT 'a\\';"), &end);
    g_assert_cmpint(lex.state, ==, SQLLEX_ESCAPE_STRING);
    g_assert_false(end);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/archive/sqllex/states", states_are_those_of_postgresql);
    g_test_add_func("/archive/sqllex/ends", statements_end_where_those_of_psql_do);
    g_test_add_func("/archive/sqllex/strings_escape", strings_escape_where_that_is_set);
    return g_test_run();
}
