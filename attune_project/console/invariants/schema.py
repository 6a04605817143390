"""The database's own guards: what refuses most violations before they can be."""

from attune_project.console.invariants.invariant import Invariant

SCHEMA = (
    Invariant(
        "constraint_missing",
        "The constraints that refuse what must not be are in the database, and watch.",
        "Run manage.py migrate; if that has nothing to do, create what is named here as the migrations do.",
        """
        SELECT wanted.name, wanted.kind FROM (
            SELECT name, 'constraint' AS kind FROM unnest(:constraints) AS name
            UNION ALL SELECT name, 'trigger' FROM unnest(ARRAY['policy_changing', 'policy_changed']) AS name
        ) wanted
        WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c
                          WHERE c.conname = wanted.name AND c.convalidated AND wanted.kind = 'constraint')
          AND NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
                          WHERE c.relname = wanted.name AND i.indisvalid AND i.indisunique
                            AND wanted.kind = 'constraint')
          AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgname = wanted.name AND t.tgenabled <> 'D'
                          AND wanted.kind = 'trigger')
        """,
    ),
)
