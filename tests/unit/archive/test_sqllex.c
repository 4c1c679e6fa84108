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

static void states_are_those_of_postgresql(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct sqllex lex = {0};
        g_auto(GStrv) lines = g_strsplit(cases[i].text, "\n", -1);
        for (char **line = lines; *line; line++)
            sqllex_line(&lex, *line, strlen(*line));
        if (lex.state != cases[i].state)
            g_error("case %zu, %s: state %d, expected %d", i, cases[i].text, lex.state, cases[i].state);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/archive/sqllex/states", states_are_those_of_postgresql);
    return g_test_run();
}
