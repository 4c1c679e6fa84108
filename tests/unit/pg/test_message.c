/* Texts of pg_restore without the rows that they quote. */
#include "pg/message.h"

static const struct {
    const char *name, *said, *told;
} cases[] = {
    {"unique",
     "pg_restore: error: could not execute query: ERROR:  could not create unique index \"one\"\n"
     "DETAIL:  Key (card)=(41)(1) is duplicated.\nCommand was: CREATE UNIQUE INDEX one ON t (card);",
     "pg_restore: error: could not execute query: ERROR:  could not create unique index \"one\"\n"
     "DETAIL:  Key (card)=(...)\nCommand was: CREATE UNIQUE INDEX one ON t (card);"},
    {"lines in a value", "ERROR:  x\nDETAIL:  Key (a)=(4\n111) is duplicated.\nHINT:  h",
     "ERROR:  x\nDETAIL:  Key (a)=(...)\nHINT:  h"},
    {"row", "ERROR:  check \"c\"\nDETAIL:  Failing row contains (1, 4111).",
     "ERROR:  check \"c\"\nDETAIL:  Failing row contains (...)."},
    {"syntax", "ERROR:  invalid input syntax for type integer: \"4111\"\nCONTEXT:  COPY t, line 7, column a: \"4111\"",
     "ERROR:  invalid input syntax for type integer: ...\nCONTEXT:  COPY t, line 7, column a"},
    {"range", "ERROR:  value \"4111\" is out of range for type smallint",
     "ERROR:  value \"...\" is out of range for type smallint"},
    {"raised", "ERROR:  card 4111\nCONTEXT:  PL/pgSQL function f(text) line 1 at RAISE",
     "ERROR:  an exception that a function of the database raised\n"
     "CONTEXT:  PL/pgSQL function f(text) line 1 at RAISE"},
    {"json", "ERROR:  invalid input syntax for type json\nCONTEXT:  JSON data, line 1: {\"card\": 4111",
     "ERROR:  invalid input syntax for type json\nCONTEXT:  JSON data, line 1"},
    {"statement",
     "ERROR:  x\nLINE 1: SELECT '4111'\n        ^\nQUERY:  SELECT '4111'\nCONTEXT:  SQL statement \"4111\"",
     "ERROR:  x\nCONTEXT:  SQL statement"},
    {"dependents stay", "ERROR:  cannot drop x\nDETAIL:  view v depends on table x",
     "ERROR:  cannot drop x\nDETAIL:  view v depends on table x"},
    {"names stay", "ERROR:  role \"r\" does not exist\nHINT:  create it",
     "ERROR:  role \"r\" does not exist\nHINT:  create it"},
};

static void test_cases(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *told = message_without_rows(cases[i].said);
        g_test_message("%s", cases[i].name);
        g_assert_cmpstr(told, ==, cases[i].told);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/message/cases", test_cases);
    return g_test_run();
}
