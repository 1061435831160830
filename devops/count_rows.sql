-- Every table's name and number of rows, exactly; for psql -At.
SELECT format('SELECT %L, count(*) FROM %I.%I', relname, nspname, relname)
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname = 'public'
 ORDER BY relname
\gexec
