"""The results store, the results folder, tables, figures, and exports."""
