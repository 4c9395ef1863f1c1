"""Student source as syntax trees, shared by insights and profiling."""
