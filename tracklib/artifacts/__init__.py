"""Files, figures, tables and models as content-addressed artifacts."""
