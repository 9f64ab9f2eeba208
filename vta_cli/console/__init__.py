"""What a person or a pipe sees: progress, tables, histograms, row formats."""
